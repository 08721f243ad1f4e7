#include "entrepot/cache/purge.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"

#include <algorithm>
#include <unordered_set>

namespace entrepot {
namespace {

using DigestSet = std::unordered_set<Digest, DigestHash>;

constexpr std::size_t repositories_a_page = 1024;
constexpr std::size_t tags_looked_at_max = 1'000'000;
constexpr std::ptrdiff_t grants_a_transaction = 1024;
constexpr auto turn_wait_max = std::chrono::minutes(10);

/// `roots` and all that their manifests are made of, without going through what is in `into` already. False past `digests_max`.
bool add_closure(const Ledger& ledger, std::vector<Digest> roots, DigestSet& into, std::size_t digests_max) {
    while (!roots.empty()) {
        auto digest = roots.back();
        roots.pop_back();
        if (!into.insert(digest).second) continue;
        if (into.size() > digests_max) return false;
        auto manifest = ledger.find_manifest(digest);
        if (manifest) roots.insert(roots.end(), manifest->references.begin(), manifest->references.end());
    }
    return true;
}

/// What the ledger knows of one digest that is to go.
struct Stored {
    bool is_stored = false, is_manifest = false;
    std::uint64_t bytes = 0;
};

Stored look_at(const Ledger& ledger, const Digest& digest) {
    Stored stored;
    auto record = ledger.find_blob_head(digest);
    if (!record) return stored;
    stored.is_stored = true;
    stored.bytes = record->size;
    stored.is_manifest = ledger.is_manifest(digest);
    return stored;
}

void add(PurgeCount& count, const Stored& stored) {
    ++(stored.is_manifest ? count.manifests : count.blobs);
    count.bytes += stored.bytes;
}

/// Whoever else was granted content of the repository, by other rights. A tag's record is one for all of them.
std::vector<Holder> holders_beside(const Ledger& ledger, const std::vector<Holder>& purged, const std::string& repository) {
    auto beside = ledger.list_holders(repository);
    std::erase_if(beside, [&](auto& holder) {
        bool is_purged = std::any_of(purged.begin(), purged.end(),
                                     [&](auto& one) { return one.scope == holder.scope && one.repository == holder.repository; });
        return holder.repository != repository || is_purged;
    });
    return beside;
}

bool granted_to_any(const Ledger& ledger, const std::vector<Holder>& holders, const Digest& digest) {
    return std::any_of(holders.begin(), holders.end(),
                       [&](auto& holder) { return ledger.granted(holder.scope, holder.repository, digest); });
}

/// Tags of one repository that its purged holders are about to lose.
struct LeavingTags {
    std::vector<LedgerChange> changes;
    std::size_t count =
        0;  ///< also of those whose record stays, since somebody else was given what it points to: with their grant the purged lose the tag
    std::string last;  ///< behind which the next page goes on; empty: there is none
};

LeavingTags list_leaving_tags(const Ledger& ledger, const PurgeOrder& order, const Holder& holder, const std::string& last,
                              std::size_t count_max) {
    LeavingTags leaving;
    auto beside = holders_beside(ledger, order.holders, holder.repository);
    for (auto& [tag, record] : ledger.list_tag_records(holder.repository, last, count_max)) {
        leaving.last = tag;
        bool stays = granted_to_any(ledger, beside, record.digest);
        if (!stays) leaving.changes.push_back(RemoveTag{holder.repository, tag});
        if (!stays || granted_to_any(ledger, order.holders, record.digest)) ++leaving.count;
    }
    return leaving;
}

}  // namespace

std::vector<Holder> holders_under(const Ledger& ledger, const std::string& scope, std::string_view source, bool wildcard) {
    if (!wildcard) return {Holder{scope, std::string(source)}};
    std::vector<Holder> holders;
    for (auto& holder : ledger.list_holders(source)) {
        if (holder.scope == scope) holders.push_back(std::move(holder));
    }
    // An earlier version kept no list of holders; those with tags are known all the same.
    for (std::string last(source);;) {
        auto page = ledger.list_repositories(last, repositories_a_page);
        for (auto& repository : page) {
            if (!repository.starts_with(source)) return holders;
            holders.push_back(Holder{scope, repository});
        }
        if (page.size() < repositories_a_page) return holders;
        last = page.back();
    }
}

Task<Result<void>> Purge::until_recorded() {
    auto deadline = Loop::current().time() + records_wait_max;
    for (auto* member : team_.members) {
        auto wait = [member, deadline] { return member->until_recorded(deadline); };
        bool recorded = co_await run_on(member->loop(), wait);
        if (!recorded) co_return Error{Fault::storage, Code::timeout};
    }
    co_return Result<void>();
}

Task<Result<PurgeCount>> Purge::run(PurgeOrder order) {
    ASSERT(order.holders.size() == 1 || (order.tag.empty() && !order.digest));
    auto recorded = co_await until_recorded();
    if (!recorded) co_return recorded.error();
    bool mine = co_await turn_.acquire(Loop::current().time() + turn_wait_max);
    if (!mine) co_return Error{Fault::capacity, Code::busy};
    Result<PurgeCount> done = Error{Fault::shutdown, Code::stopping};
    if (!stopping_) done = co_await run_alone(order);
    turn_.release();
    co_return done;
}

Task<Result<PurgeCount>> Purge::run_alone(const PurgeOrder& order) {
    PurgeCount count;
    HolderSet holders;
    for (auto& holder : order.holders) holders.add(holder);
    Result<void> purged;
    if (!order.tag.empty() || order.digest) {
        purged = co_await purge_image(order, holders, count);
    } else {
        purged = co_await purge_tags(order, count);
        if (purged) purged = co_await purge_all(order, holders, count);
    }
    // Once more at the end: what was being looked up while its grant went is remembered nowhere.
    if (!order.dry_run) co_await forget_tags(order);
    if (!purged) co_return purged.error();
    if (!order.dry_run)
        log_info("purged {} tags, {} manifests and {} blobs with {} bytes of {} repositories; {} stay for others", count.tags,
                 count.manifests, count.blobs, count.bytes, holders.all().size(), count.kept);
    co_return count;
}

/// All tags of the repositories, first: who asks by tag from then on asks upstream.
Task<Result<void>> Purge::purge_tags(const PurgeOrder& order, PurgeCount& count) {
    std::unordered_set<std::string> seen;
    for (auto& holder : order.holders) {
        if (!seen.insert(holder.repository).second) continue;
        std::string last;
        for (;;) {
            auto list = [&] { return list_leaving_tags(store_.ledger(), order, holder, last, tags_a_batch); };
            auto leaving = co_await run_blocking(Lane::resolver, list);
            if (stopping_) co_return Error{Fault::shutdown, Code::stopping};
            if (leaving.last.empty()) break;
            last = std::move(leaving.last);
            auto removed = co_await remove_tags(std::move(leaving.changes), order.dry_run);
            if (!removed) co_return removed;
            count.tags += leaving.count;
        }
    }
    if (!order.dry_run) co_await forget_tags(order);
    co_return Result<void>();
}

Task<Result<void>> Purge::remove_tags(std::vector<LedgerChange> changes, bool dry_run) {
    Result<void> removed;
    if (!dry_run && !changes.empty()) removed = co_await store_.ledger().apply(std::move(changes));
    co_return removed;
}

Task<Result<void>> Purge::purge_all(const PurgeOrder& order, const HolderSet& holders, PurgeCount& count) {
    std::string from;
    do {
        auto list = [&] { return store_.ledger().list_grants(holders, from, grants_a_page); };
        auto page = co_await run_blocking(Lane::resolver, list);
        from = page.next;
        auto released = co_await release(std::move(page.digests), holders, order.dry_run, count);
        if (!released) co_return released;
    } while (!from.empty());
    co_return Result<void>();
}

Task<Result<void>> Purge::release(std::vector<GrantedDigest> granted, const HolderSet& holders, bool dry_run, PurgeCount& count) {
    for (std::size_t first = 0; first < granted.size(); first += digests_a_batch) {
        if (stopping_) co_return Error{Fault::shutdown, Code::stopping};
        auto end = std::min(granted.size(), first + digests_a_batch);
        std::vector<GrantedDigest> batch(std::make_move_iterator(granted.begin() + static_cast<std::ptrdiff_t>(first)),
                                         std::make_move_iterator(granted.begin() + static_cast<std::ptrdiff_t>(end)));
        auto released = co_await release_batch(std::move(batch), holders, dry_run, count);
        if (!released) co_return released;
    }
    co_return Result<void>();
}

Task<Result<void>> Purge::release_batch(std::vector<GrantedDigest> batch, const HolderSet& holders, bool dry_run,
                                        PurgeCount& count) {
    // Looked at again right before: pulls go on, and others may have been granted it since it was listed.
    auto look = [&] {
        std::vector<Stored> stored;
        for (auto& one : batch) {
            one = store_.ledger().grants_of(holders, one.digest);
            stored.push_back(look_at(store_.ledger(), one.digest));
        }
        return stored;
    };
    auto stored = co_await run_blocking(Lane::resolver, look);
    std::vector<Digest> all, going;
    std::vector<LedgerChange> changes;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        auto& one = batch[i];
        all.push_back(one.digest);
        bool goes = stored[i].is_stored && !one.granted_to_others;
        if (goes) going.push_back(one.digest);
        else if (stored[i].is_stored) ++count.kept;
        // Those that go take their grants with them.
        for (auto place : one.holders) {
            auto& holder = holders.all()[place];
            if (!goes) changes.push_back(RemoveGrant{holder.scope, holder.repository, one.digest});
        }
        if (goes && dry_run) add(count, stored[i]);
    }
    if (dry_run) co_return Result<void>();
    // A base layer may have been granted to ten thousand repositories of one rule.
    while (std::ssize(changes) > grants_a_transaction) {
        std::vector<LedgerChange> some(std::make_move_iterator(changes.end() - grants_a_transaction),
                                       std::make_move_iterator(changes.end()));
        changes.erase(changes.end() - grants_a_transaction, changes.end());
        auto removed = co_await store_.ledger().apply(std::move(some));
        if (!removed) co_return removed;
    }
    auto left = co_await store_.discard(std::move(going), std::move(changes));
    if (!left) co_return left.error();
    for (std::size_t i = 0; i < batch.size(); ++i) {
        bool went = std::find(left->begin(), left->end(), batch[i].digest) != left->end();
        if (went) add(count, stored[i]);
    }
    co_await forget(all);
    co_return Result<void>();
}

// ---- one image

struct Purge::Plan {
    std::vector<LedgerChange> tags;
    std::size_t tag_count = 0;
    std::vector<GrantedDigest> digests;
    std::uint64_t kept = 0;  // parts that other images of the repository are made of
};

Task<Result<void>> Purge::purge_image(const PurgeOrder& order, const HolderSet& holders, PurgeCount& count) {
    auto plan = co_await plan_image(order, holders);
    if (!plan) co_return plan.error();
    count.kept += plan->kept;
    auto removed = co_await remove_tags(std::move(plan->tags), order.dry_run);
    if (!removed) co_return removed;
    count.tags += plan->tag_count;
    if (!order.dry_run) co_await forget_tags(order);
    auto released = co_await release(std::move(plan->digests), holders, order.dry_run, count);
    co_return released;
}

/// What goes: the image, less all that other tags and other manifests of the repository are made of.
Task<Result<Purge::Plan>> Purge::plan_image(const PurgeOrder& order, const HolderSet& holders) {
    auto& repository = order.holders.front().repository;
    auto& ledger = store_.ledger();
    Plan plan;
    DigestSet image, others;
    std::vector<Digest> roots, other_roots;
    std::vector<std::pair<std::string, Digest>> tags;
    bool fits = true;
    auto begin = [&] {
        for (auto& [tag, record] : ledger.list_tag_records(repository, "", tags_looked_at_max)) {
            bool goes = order.digest ? record.digest == *order.digest : tag == order.tag;
            if (goes) tags.emplace_back(tag, record.digest);
            (goes ? roots : other_roots).push_back(record.digest);
        }
        if (order.digest) roots = {*order.digest};
        fits = add_closure(ledger, roots, image, image_digests_max);
        // Named by its digest it goes, whatever index names it as a child: an index is not made whole by keeping what somebody wants gone.
        if (order.digest) others.insert(*order.digest);
        return true;
    };
    (void)co_await run_blocking(Lane::resolver, begin);
    std::string from;
    do {
        auto list = [&] {
            auto page = ledger.list_grants(holders, from, grants_a_page);
            for (auto& one : page.digests) {
                if (!image.contains(one.digest) && ledger.is_manifest(one.digest)) other_roots.push_back(one.digest);
            }
            return std::move(page.next);
        };
        from = co_await run_blocking(Lane::resolver, list);
    } while (!from.empty());
    auto finish = [&] {
        fits = fits && add_closure(ledger, std::move(other_roots), others, image_digests_max);
        if (order.digest) others.erase(*order.digest);
        for (auto& digest : image) {
            if (!others.contains(digest)) plan.digests.push_back(ledger.grants_of(holders, digest));
            else if (ledger.find_blob_head(digest)) ++plan.kept;
        }
        auto beside = holders_beside(ledger, order.holders, repository);
        for (auto& [tag, digest] : tags) {
            // Where the image itself stays granted, only the record can go.
            bool stays = !others.contains(digest) && granted_to_any(ledger, beside, digest);
            if (!stays) plan.tags.push_back(RemoveTag{repository, tag});
            if (!stays || granted_to_any(ledger, order.holders, digest)) ++plan.tag_count;
        }
        return true;
    };
    (void)co_await run_blocking(Lane::resolver, finish);
    if (!fits) co_return Error{Fault::policy, Code::too_large};
    // What the repository was never granted is not its to take away.
    std::erase_if(plan.digests, [](auto& one) { return one.holders.empty(); });
    co_return plan;
}

// ---- memory

Task<void> Purge::forget(const std::vector<Digest>& digests) {
    for (auto* member : team_.members) {
        auto forget = [member, &digests] {
            member->forget(digests);
            return true;
        };
        (void)co_await call_on(member->loop(), forget);
    }
}

Task<void> Purge::forget_tags(const PurgeOrder& order) {
    std::vector<std::string> repositories;
    for (auto& holder : order.holders) repositories.push_back(holder.repository);
    for (auto* member : team_.members) {
        auto forget = [member, &repositories] { return member->forget_tags(repositories); };
        (void)co_await run_on(member->loop(), forget);
    }
}

}  // namespace entrepot
