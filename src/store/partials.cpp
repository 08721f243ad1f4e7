#include "store/partials.h"

#include "entrepot/base/assert.h"

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

std::optional<KeptPartial> Partials::take_oldest(const Volume* only, std::int64_t older_than) {
    std::lock_guard guard(lock_);
    auto oldest = kept_.end();
    for (auto each = kept_.begin(); each != kept_.end(); ++each) {
        if (only && each->second.volume != only) continue;
        // Ties are broken by digest, so that the choice does not depend on the order of a hash table.
        bool is_older = oldest == kept_.end() || std::pair(each->second.kept_at, each->first.hash()) <
                                                     std::pair(oldest->second.kept_at, oldest->first.hash());
        if (is_older) oldest = each;
    }
    if (oldest == kept_.end() || oldest->second.kept_at >= older_than) return std::nullopt;
    auto partial = oldest->second;
    kept_.erase(oldest);
    return partial;
}

}  // namespace entrepot
