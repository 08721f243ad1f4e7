#pragma once
// Names to addresses. The lookup itself is a link-time seam that runs on the resolver lane, never on a shard (src/net/resolver_system.cpp uses getaddrinfo).

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/net/address.h"

#include <memory>
#include <string>
#include <vector>

namespace entrepot {

/// Seam: blocking lookup of every address of a name, at most `addresses_max`, in the system's order. Fault::upstream, Code::name_unresolved when there is none.
Result<std::vector<Address>> look_up_addresses(const std::string& host, std::uint16_t port);

/// Addresses of a host (or the one of an IP literal), cached per shard for 30 s; the last good answer is used up to 1 h while lookups fail. Concurrent
/// questions for one name are one lookup. At most 16 addresses, ordered for happy eyeballs (RFC 8305: families alternate, the system's first stays first).
class Resolver {
  public:
    static constexpr std::size_t addresses_max = 16;
    static constexpr std::size_t names_max = 1024;

    struct Options {
        Duration fresh_time = seconds(30);
        Duration stale_time_max = std::chrono::hours(1);
        Duration stale_patience = seconds(2);  ///< a lookup slower than this counts as failing while an old answer is at hand
        Duration failure_pause = seconds(1);   ///< a name that just failed is not looked up again at once
        Result<std::vector<Address>> (*look_up)(const std::string& host, std::uint16_t port) = &look_up_addresses;
    };

    Resolver();
    explicit Resolver(const Options& options);
    ~Resolver();
    /// Fault::upstream with Code::name_unresolved or Code::timeout; Fault::capacity, Code::busy when `names_max` names are being looked up.
    Task<Result<std::vector<Address>>> resolve(std::string host, std::uint16_t port, Instant deadline);
    /// Before destruction, when no resolve() waits: waits for lookups whose askers gave up.
    Task<void> close();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot
