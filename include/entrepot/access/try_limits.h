#pragma once
// How often a password may be tried in vain: by one source address for one account, and by one source address at all. Only failures count, so that a thousand nodes
// behind one address log in at once, and nobody is locked out by what another address does. Pure; owned by one loop.

#include "entrepot/base/clock.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace entrepot {

class TryLimits {
  public:
    struct Allowance {
        double burst;     ///< failures at once
        Duration refill;  ///< time that gives one back
    };
    struct Options {
        Allowance account{20, seconds(2)};         ///< of one source and account
        Allowance source{200, milliseconds(200)};  ///< of one source
        std::size_t entries_max = 8192;            ///< at the bound those go that failed least
    };

    explicit TryLimits(const Options& options) noexcept : options_(options) {}

    /// Nothing when this source may try this account now, else how long it must wait. `source` is a hash of its address.
    std::optional<Duration> refusal(std::uint64_t source, std::string_view user, Instant now) const noexcept;
    /// A try was in vain.
    void count_failure(std::uint64_t source, std::string_view user, Instant now);
    std::size_t entries() const noexcept { return entries_.size(); }

  private:
    struct Entry {
        double failures = 0;  // as of `since`; they fade
        Instant since{};
        bool whole_source = false;
    };
    const Allowance& allowance_of(const Entry& entry) const noexcept {
        return entry.whole_source ? options_.source : options_.account;
    }
    double failures_of(const Entry& entry, Instant now) const noexcept;
    Duration wait_of(std::uint64_t key, Instant now) const noexcept;
    void add(std::uint64_t key, bool whole_source, Instant now);
    void make_room(Instant now);

    Options options_;
    std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace entrepot
