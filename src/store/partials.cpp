#include "store/partials.h"

#include "entrepot/base/assert.h"

#include <algorithm>

namespace entrepot {

std::uint64_t Partials::resumable_bytes(const Digest& digest) const noexcept {
    std::lock_guard guard(lock_);
    auto found = kept_.find(digest);
    return found == kept_.end() ? 0 : found->second.resumable_bytes;
}

std::size_t Partials::count() const noexcept {
    std::lock_guard guard(lock_);
    return kept_.size();
}

void Partials::put(const KeptPartial& partial) {
    std::lock_guard guard(lock_);
    bool added = kept_.emplace(partial.digest, partial).second;
    ASSERT(added);
}

std::optional<KeptPartial> Partials::take(const Digest& digest) {
    std::lock_guard guard(lock_);
    auto found = kept_.find(digest);
    if (found == kept_.end()) return std::nullopt;
    auto partial = found->second;
    kept_.erase(found);
    return partial;
}

std::optional<KeptPartial> Partials::take_oldest(std::int64_t older_than) {
    std::lock_guard guard(lock_);
    // Ties are broken by digest, so that the choice does not depend on the order of a hash table.
    auto oldest = std::min_element(kept_.begin(), kept_.end(), [](auto& a, auto& b) {
        return std::pair(a.second.kept_at, a.first.hash()) < std::pair(b.second.kept_at, b.first.hash());
    });
    if (oldest == kept_.end() || oldest->second.kept_at >= older_than) return std::nullopt;
    auto partial = oldest->second;
    kept_.erase(oldest);
    return partial;
}

}  // namespace entrepot
