#pragma once
// Whom the upstreams with one CA file trust, as the file said when it was last good. Connections keep the context that they were made with; new ones take the
// current one. Renewed when an operator says so (SIGHUP): what cannot be used changes nothing and is said in one line.

#include "entrepot/net/tls.h"

#include <memory>
#include <mutex>
#include <string>

namespace entrepot {

class Trust {
  public:
    using Context = std::shared_ptr<const TlsClientContext>;

    /// `ca_file` empty: the system's trust store.
    Trust(std::string ca_file, Context context) noexcept : ca_file_(std::move(ca_file)), context_(std::move(context)) {}

    Context current() const {
        std::lock_guard guard(lock_);
        return context_;
    }
    /// Reads the file again. Blocking; from one thread at a time, while others ask for current().
    void renew();

  private:
    const std::string ca_file_;
    mutable std::mutex lock_;  // held for the copy of a pointer
    Context context_;
};

}  // namespace entrepot
