#include "entrepot/access/try_limits.h"

#include "entrepot/base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

namespace entrepot {
namespace {

// Keyed by the process's secret: a stranger cannot choose names that share an entry.
std::uint64_t account_key(std::uint64_t source, std::string_view user) noexcept {
    return XXH3_64bits_withSeed(user.data(), user.size(), source ^ hash_seed());
}

std::uint64_t source_key(std::uint64_t source) noexcept { return XXH3_64bits_withSeed(&source, sizeof source, ~hash_seed()); }

}  // namespace

double TryLimits::failures_of(const Entry& entry, Instant now) const noexcept {
    auto faded = static_cast<double>((now - entry.since).count()) / static_cast<double>(allowance_of(entry).refill.count());
    return std::max(0.0, entry.failures - std::max(0.0, faded));
}

Duration TryLimits::wait_of(std::uint64_t key, Instant now) const noexcept {
    auto found = entries_.find(key);
    if (found == entries_.end()) return Duration(0);
    auto& allowance = allowance_of(found->second);
    auto over = failures_of(found->second, now) - (allowance.burst - 1);
    return over <= 0 ? Duration(0) : Duration(static_cast<std::int64_t>(over * static_cast<double>(allowance.refill.count())));
}

std::optional<Duration> TryLimits::refusal(std::uint64_t source, std::string_view user, Instant now) const noexcept {
    auto wait = std::max(wait_of(account_key(source, user), now), wait_of(source_key(source), now));
    if (wait <= Duration(0)) return std::nullopt;
    return wait;
}

void TryLimits::count_failure(std::uint64_t source, std::string_view user, Instant now) {
    add(account_key(source, user), false, now);
    add(source_key(source), true, now);
}

void TryLimits::add(std::uint64_t key, bool whole_source, Instant now) {
    if (entries_.size() >= options_.entries_max && !entries_.contains(key)) make_room(now);
    auto& entry = entries_[key];
    entry.whole_source = whole_source;
    // What was in flight together may pass the allowance; it does not buy a longer refusal than the allowance itself.
    entry.failures = std::min(failures_of(entry, now) + 1, 2 * allowance_of(entry).burst);
    entry.since = now;
}

/// Rare next to the hash that each failure took: it looks at every entry, and makes room for a sixteenth of them.
void TryLimits::make_room(Instant now) {
    std::erase_if(entries_, [&](auto& entry) { return failures_of(entry.second, now) <= 0; });
    for (double share = 0.05; entries_.size() > options_.entries_max - options_.entries_max / 16; share *= 2) {
        std::erase_if(entries_,
                      [&](auto& entry) { return failures_of(entry.second, now) <= share * allowance_of(entry.second).burst; });
    }
}

}  // namespace entrepot
