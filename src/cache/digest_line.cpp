#include "entrepot/cache/digest_line.h"

#include <algorithm>

namespace entrepot {

static_assert(DigestLine::turn_bytes % 2 == 0, "halves of a turn are equal");

Bytes DigestLine::Entry::take(std::size_t count) noexcept {
    auto taken = bytes.first(count);
    bytes = bytes.subspan(count);
    if (bytes.empty()) unlink();
    return taken;
}

Task<void> DigestLine::update(Digester& digester, Bytes bytes) {
    if (bytes.empty()) co_return;
    Entry mine(digester, bytes);
    // SHA-512 has no pairs: such a stream takes turns among the bulk work, out of everybody's way here.
    if (digester.algorithm() == DigestAlgorithm::sha256) waiting_.push_back(mine);
    co_await BulkTurn{};
    while (!mine.bytes.empty()) {
        take_turn(mine);
        if (!mine.bytes.empty()) co_await SameBulkTurn{};
    }
}

void DigestLine::take_turn(Entry& mine) noexcept {
    // Whoever has a turn is the first here: both lines are in the order of coming, and who is hashed to the end leaves this one.
    ASSERT(!mine.linked() || waiting_.front() == &mine);
    ++counts_.turns;
    for (std::size_t left = turn_bytes; left > 0 && !mine.bytes.empty();) hash(mine, left);
}

/// One step of a turn that may hash `left` more bytes: beside the next in line as far as both go, or alone.
void DigestLine::hash(Entry& mine, std::size_t& left) noexcept {
    auto before = left;
    if (Entry* other = mine.linked() ? waiting_.after(mine) : nullptr) {
        auto shared = std::min({left / 2, mine.bytes.size(), other->bytes.size()});
        Digester::update_pair(mine.digester, mine.take(shared), other->digester, other->take(shared));
        left -= 2 * shared;
        counts_.paired_bytes += 2 * shared;
    } else {
        auto alone = std::min(left, mine.bytes.size());
        mine.digester.update(mine.take(alone));
        left -= alone;
    }
    counts_.bytes += before - left;
    ASSERT(left < before);
}

}  // namespace entrepot
