#pragma once
// What handshakes of one thread use: a configuration with its own keys, trusted certificates and generator.

#include "entrepot/net/tls.h"

#include "net/tls_library.h"

#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace entrepot {

/// One value for each thread that asks, made at its first question. The lock is taken once per handshake, which costs a millisecond by itself.
template <typename T>
class PerThread {
  public:
    T& get(const std::function<std::unique_ptr<T>()>& make) {
        std::lock_guard guard(lock_);
        auto& value = values_[std::this_thread::get_id()];
        if (!value) value = make();
        return *value;
    }

  private:
    std::mutex lock_;
    std::map<std::thread::id, std::unique_ptr<T>> values_;  // bounded by the number of threads
};

/// The configuration of the calling thread; lives as long as the context.
const mbedtls_ssl_config& server_config(const TlsServerContext& context);
const mbedtls_ssl_config& client_config(const TlsClientContext& context);

/// Whether the server's certificate decides.
bool verifies(const TlsClientContext& context) noexcept;

/// Why no server can be verified (there is no trust store); empty when one can.
const std::string& missing_trust(const TlsClientContext& context) noexcept;

}  // namespace entrepot
