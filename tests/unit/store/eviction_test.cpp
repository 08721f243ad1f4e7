#include "entrepot/store/eviction.h"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace entrepot;

namespace {

// A digest made of a number, spread over all its words as a real one is.
Digest digest_of(std::uint64_t number) {
    std::mt19937_64 random(number);
    std::array<std::uint64_t, 4> words{};
    for (std::uint64_t& word : words) word = random();
    return Digest::from_raw(DigestAlgorithm::sha256, std::as_bytes(std::span(words)));
}

void use(EvictionEntry* entry, int times) {
    for (int i = 0; i < times; ++i) entry->touch();
}

/// Evicts and forgets one blob; the number it was made of is what `names` says.
Digest evict(Eviction& eviction) {
    EvictionEntry* victim = eviction.victim();
    REQUIRE(victim != nullptr);
    const Digest digest = victim->digest;
    eviction.remove(*victim);
    return digest;
}

// A cache of the given capacity: stores, making room first.
struct Cache {
    explicit Cache(std::uint64_t capacity_bytes) : eviction({.capacity_bytes = capacity_bytes}) {}

    /// True for a hit.
    bool request(std::uint64_t number, std::uint64_t bytes) {
        if (auto found = inside.find(number); found != inside.end()) {
            found->second->touch();
            return true;
        }
        while (eviction.bytes_used() + bytes > eviction.capacity_bytes()) {
            EvictionEntry* victim = eviction.victim();
            REQUIRE(victim != nullptr);
            inside.erase(number_of.at(victim->digest.hash()));
            eviction.remove(*victim);
        }
        const Digest digest = digest_of(number);
        number_of[digest.hash()] = number;
        inside[number] = eviction.insert(digest, bytes);
        return false;
    }

    Eviction eviction;
    std::map<std::uint64_t, EvictionEntry*> inside;
    std::map<std::uint64_t, std::uint64_t> number_of;
};

constexpr Eviction::Options room_for_a_thousand{.capacity_bytes = 1000};

}  // namespace

TEST_CASE("eviction: an empty one has no victim") {
    Eviction eviction(room_for_a_thousand);
    CHECK(eviction.victim() == nullptr);
    CHECK(eviction.bytes_used() == 0);
    CHECK(eviction.entries() == 0);
}

TEST_CASE("eviction: newcomers that nobody used again leave in order of arrival") {
    Eviction eviction(room_for_a_thousand);
    for (std::uint64_t i = 0; i < 5; ++i) eviction.insert(digest_of(i), 200);
    for (std::uint64_t i = 0; i < 5; ++i) CHECK(evict(eviction) == digest_of(i));
    CHECK(eviction.entries() == 0);
}

TEST_CASE("eviction: two uses prove a newcomer, one does not") {
    Eviction eviction(room_for_a_thousand);
    EvictionEntry* proven = eviction.insert(digest_of(1), 300);
    EvictionEntry* once = eviction.insert(digest_of(2), 300);
    EvictionEntry* never = eviction.insert(digest_of(3), 300);
    use(proven, 2);
    use(once, 1);
    CHECK_FALSE(proven->survived_trial());
    CHECK(eviction.victim() == once);
    CHECK(proven->survived_trial());
    CHECK(eviction.victim() == never);
    CHECK(eviction.victim() == proven);
    for (EvictionEntry* entry : {proven, once, never}) eviction.remove(*entry);
}

TEST_CASE("eviction: newcomers within their tenth of the capacity are left alone while the main queue has something to give") {
    Eviction eviction(room_for_a_thousand);
    for (const std::uint64_t bytes : {100u, 101u}) {
        EvictionEntry* proven = eviction.insert(digest_of(bytes), 800, true);
        EvictionEntry* newcomer = eviction.insert(digest_of(1000 + bytes), bytes);
        CHECK(eviction.victim() == (bytes == 100 ? proven : newcomer));
        CHECK(eviction.victim() == (bytes == 100 ? newcomer : proven));
        eviction.remove(*proven);
        eviction.remove(*newcomer);
    }
}

TEST_CASE("eviction: a scan of a hundred times the capacity does not displace what is in use") {
    Cache cache(100'000);
    for (int round = 0; round < 4; ++round)
        for (std::uint64_t i = 0; i < 800; ++i) cache.request(i, 100);
    for (std::uint64_t i = 10'000; i < 110'000; ++i) cache.request(i, 100);
    int still_there = 0;
    for (std::uint64_t i = 0; i < 800; ++i) still_there += cache.inside.count(i) > 0;
    CHECK(still_there == 800);
}

TEST_CASE("eviction: a blob that comes back soon after its eviction has passed its trial") {
    Eviction eviction(room_for_a_thousand);
    eviction.insert(digest_of(1), 200);
    CHECK(evict(eviction) == digest_of(1));
    EvictionEntry* back = eviction.insert(digest_of(1), 200);
    CHECK(back->survived_trial());
    CHECK_FALSE(eviction.insert(digest_of(2), 200)->survived_trial());
}

TEST_CASE("eviction: a blob that comes back after more than nine tenths of the capacity went the same way is new again") {
    Eviction eviction(room_for_a_thousand);
    for (const std::uint64_t bytes : {100u, 1u, 900u}) {
        eviction.insert(digest_of(bytes), bytes);
        evict(eviction);
    }
    CHECK_FALSE(eviction.insert(digest_of(100), 100)->survived_trial());  // 901 bytes ago
    CHECK(eviction.insert(digest_of(1), 1)->survived_trial());            // 900
}

TEST_CASE("eviction: only what left on trial is remembered, not what was removed for another reason") {
    Eviction eviction(room_for_a_thousand);
    eviction.remove(*eviction.insert(digest_of(1), 200));
    CHECK_FALSE(eviction.insert(digest_of(1), 200)->survived_trial());
}

TEST_CASE("eviction: in the main queue each use buys one more turn, up to three") {
    Eviction eviction(room_for_a_thousand);
    for (std::uint64_t i = 0; i < 4; ++i) use(eviction.insert(digest_of(i), 200, true), std::array{3, 100, 1, 0}[i]);
    CHECK(evict(eviction) == digest_of(3));
    CHECK(evict(eviction) == digest_of(2));
    // Both have one chance left, however often the second was used, so that age decides.
    CHECK(evict(eviction) == digest_of(0));
    CHECK(evict(eviction) == digest_of(1));
}

TEST_CASE("eviction: when everything in the main queue was used, the least used goes, the oldest among equals") {
    Eviction eviction(room_for_a_thousand);
    for (std::uint64_t i = 0; i < 4; ++i) use(eviction.insert(digest_of(i), 200, true), std::array{3, 2, 2, 3}[i]);
    CHECK(evict(eviction) == digest_of(1));
}

TEST_CASE("eviction: a pinned blob is never named, and is again once unpinned") {
    Eviction eviction(room_for_a_thousand);
    EvictionEntry* open = eviction.insert(digest_of(1), 500);
    EvictionEntry* idle = eviction.insert(digest_of(2), 500);
    REQUIRE(open->pin());
    REQUIRE(open->pin());
    CHECK(eviction.victim() == idle);
    CHECK(eviction.victim() == nullptr);
    open->unpin();
    CHECK(eviction.victim() == nullptr);
    open->unpin();
    CHECK(eviction.victim() == open);
    eviction.remove(*open);
    eviction.remove(*idle);
}

TEST_CASE("eviction: when every newcomer is pinned the main queue gives, and the other way round") {
    Eviction eviction(room_for_a_thousand);
    EvictionEntry* newcomer = eviction.insert(digest_of(1), 500);
    EvictionEntry* old = eviction.insert(digest_of(2), 500, true);
    REQUIRE(newcomer->pin());
    CHECK(eviction.victim() == old);
    eviction.keep(*old);
    newcomer->unpin();
    REQUIRE(old->pin());
    EvictionEntry* small = eviction.insert(digest_of(3), 10);
    CHECK(eviction.victim() == newcomer);
    CHECK(eviction.victim() == small);
    old->unpin();
    for (EvictionEntry* entry : {newcomer, small, old}) eviction.remove(*entry);
}

TEST_CASE("eviction: the caller's own reasons to keep a blob count like a pin") {
    Eviction eviction(room_for_a_thousand);
    eviction.insert(digest_of(1), 500);
    eviction.insert(digest_of(2), 500);
    const auto not_the_first = [](const EvictionEntry& entry) { return entry.digest != digest_of(1); };
    EvictionEntry* victim = eviction.victim(not_the_first);
    REQUIRE(victim != nullptr);
    CHECK(victim->digest == digest_of(2));
    eviction.remove(*victim);
    CHECK(eviction.victim(not_the_first) == nullptr);
}

TEST_CASE("eviction: a blob that is leaving still counts, cannot be pinned and is not named twice") {
    Eviction eviction(room_for_a_thousand);
    eviction.insert(digest_of(1), 600);
    EvictionEntry* victim = eviction.victim();
    REQUIRE(victim != nullptr);
    CHECK(eviction.bytes_used() == 600);
    CHECK(eviction.bytes_leaving() == 600);
    CHECK(eviction.entries() == 1);
    CHECK_FALSE(victim->pin());
    CHECK_FALSE(victim->pinned());
    CHECK(eviction.victim() == nullptr);
    eviction.remove(*victim);
    CHECK(eviction.bytes_used() == 0);
    CHECK(eviction.bytes_leaving() == 0);
    CHECK(eviction.entries() == 0);
}

TEST_CASE("eviction: a blob that could not be unlinked is kept, and may be pinned again") {
    Eviction eviction(room_for_a_thousand);
    EvictionEntry* entry = eviction.insert(digest_of(1), 600);
    REQUIRE(eviction.victim() == entry);
    eviction.keep(*entry);
    CHECK(eviction.bytes_leaving() == 0);
    CHECK(eviction.bytes_used() == 600);
    CHECK(entry->survived_trial());
    REQUIRE(entry->pin());
    CHECK(eviction.victim() == nullptr);
    entry->unpin();
    CHECK(eviction.victim() == entry);
    eviction.remove(*entry);
}

TEST_CASE("eviction: removing a blob that is still read frees its bytes now and its entry after the last reader") {
    Eviction eviction({.capacity_bytes = 1000, .entries_max = 2});
    EvictionEntry* read = eviction.insert(digest_of(1), 400);
    REQUIRE(read->pin());
    eviction.remove(*read);
    CHECK(eviction.bytes_used() == 0);
    CHECK(eviction.entries() == 0);
    CHECK(eviction.entries_pinned_after_removal() == 1);
    EvictionEntry* other = eviction.insert(digest_of(2), 400);
    CHECK(other != read);
    CHECK(eviction.insert(digest_of(3), 400) == nullptr);  // the reader's entry still takes its place
    read->touch();
    read->unpin();
    CHECK(eviction.insert(digest_of(3), 400) == read);
    CHECK(eviction.entries_pinned_after_removal() == 0);
    CHECK(read->frequency == 0);
}

TEST_CASE("eviction: at entries_max an insert is refused until something was removed") {
    Eviction eviction({.capacity_bytes = 1000, .entries_max = 3});
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(eviction.insert(digest_of(i), 1) != nullptr);
    CHECK(eviction.insert(digest_of(3), 1) == nullptr);
    CHECK(eviction.entries() == 3);
    EvictionEntry* victim = eviction.victim();
    CHECK(eviction.insert(digest_of(3), 1) == nullptr);  // leaving, not gone
    eviction.remove(*victim);
    CHECK(eviction.insert(digest_of(3), 1) != nullptr);
}

TEST_CASE("eviction: a walk is bounded, and names the least used blob it met at the bound") {
    Eviction eviction({.capacity_bytes = 100'000, .walk_steps_max = 16});
    for (std::uint64_t i = 0; i < 1000; ++i) use(eviction.insert(digest_of(i), 100, true), i == 7 ? 1 : 3);
    int asked = 0;
    EvictionEntry* victim = eviction.victim([&asked](const EvictionEntry&) { return ++asked > 0; });
    REQUIRE(victim != nullptr);
    CHECK(victim->digest == digest_of(7));
    CHECK(asked <= 16);
    eviction.remove(*victim);
}

TEST_CASE("eviction: when all within the bound are pinned, the next call looks further") {
    Eviction eviction({.capacity_bytes = 1000, .walk_steps_max = 10});
    std::vector<EvictionEntry*> pinned;
    for (std::uint64_t i = 0; i < 25; ++i) {
        pinned.push_back(eviction.insert(digest_of(i), 30));
        REQUIRE(pinned.back()->pin());
    }
    EvictionEntry* idle = eviction.insert(digest_of(25), 30);
    CHECK(eviction.victim() == nullptr);
    int calls = 1;
    EvictionEntry* victim = nullptr;
    for (; !victim && calls < 5; ++calls) victim = eviction.victim();
    CHECK(victim == idle);
    eviction.remove(*idle);
    for (EvictionEntry* entry : pinned) entry->unpin();
}

TEST_CASE("eviction: a smaller capacity evicts nothing by itself but shrinks the newcomers' share") {
    Eviction eviction({.capacity_bytes = 10'000});
    eviction.insert(digest_of(1), 500, true);
    EvictionEntry* newcomer = eviction.insert(digest_of(2), 500);
    eviction.set_capacity(1000);
    CHECK(eviction.capacity_bytes() == 1000);
    CHECK(eviction.bytes_used() == 1000);
    CHECK(eviction.victim() == newcomer);
    eviction.remove(*newcomer);
}

TEST_CASE("eviction: blobs of no bytes are entries like others") {
    Eviction eviction({.capacity_bytes = 0});
    eviction.insert(digest_of(1), 0);
    CHECK(evict(eviction) == digest_of(1));
}

TEST_CASE("eviction: the accounts agree with a plain model over a hundred thousand random steps") {
    std::mt19937_64 random(7);
    Eviction eviction({.capacity_bytes = 1'000'000, .entries_max = 600, .ghost_entries_max = 64, .walk_steps_max = 50});
    struct Stored {
        std::uint64_t bytes;
        int pins;
        bool leaving;
    };
    std::map<EvictionEntry*, Stored> model;
    std::set<EvictionEntry*> orphans;
    const auto any = [&]() { return std::next(model.begin(), static_cast<long>(random() % model.size())); };
    for (int step = 0; step < 100'000; ++step) {
        const auto action = random() % 10;
        if (action < 4) {
            const std::uint64_t bytes = random() % 5000;
            EvictionEntry* entry = eviction.insert(digest_of(random() % 2000), bytes, random() % 4 == 0);
            REQUIRE((entry == nullptr) == (model.size() + eviction.entries_pinned_after_removal() >= 600));
            if (entry) orphans.erase(entry);
            if (entry) REQUIRE(model.emplace(entry, Stored{bytes, 0, false}).second);
        } else if (action == 4 && !model.empty()) {
            auto [entry, stored] = *any();
            REQUIRE(entry->pin() == !stored.leaving);
            if (!stored.leaving) ++model[entry].pins;
        } else if (action == 5 && !model.empty()) {
            if (auto at = any(); at->second.pins > 0) {
                at->first->unpin();
                --at->second.pins;
            }
        } else if (action < 8) {
            if (EvictionEntry* victim = eviction.victim()) {
                REQUIRE(model.at(victim).pins == 0);
                REQUIRE_FALSE(model.at(victim).leaving);
                model.at(victim).leaving = true;
            }
        } else if (!model.empty()) {
            auto at = any();
            if (at->second.leaving && random() % 4 == 0) {
                eviction.keep(*at->first);
                at->second.leaving = false;
            } else if (at->second.leaving || random() % 8 == 0) {
                eviction.remove(*at->first);
                if (at->second.pins > 0) orphans.insert(at->first);
                for (; at->second.pins > 0; --at->second.pins) at->first->unpin();
                model.erase(at);
            } else {
                at->first->touch();
            }
        }
        std::uint64_t bytes = 0, bytes_leaving = 0;
        for (const auto& [entry, stored] : model) {
            bytes += stored.bytes;
            if (stored.leaving) bytes_leaving += stored.bytes;
        }
        REQUIRE(eviction.entries() == model.size());
        REQUIRE(eviction.bytes_used() == bytes);
        REQUIRE(eviction.bytes_leaving() == bytes_leaving);
        REQUIRE(eviction.entries_pinned_after_removal() <= orphans.size());
    }
    for (auto& [entry, stored] : model) {
        for (; stored.pins > 0; --stored.pins) entry->unpin();
        if (stored.leaving) eviction.remove(*entry);
    }
}

TEST_CASE("eviction: readers on other threads use and leave blobs while the owner evicts, and no pinned one is named") {
    Eviction eviction({.capacity_bytes = 64'000});
    constexpr int readers = 2, blobs_per_reader = 64, rounds = 2000;
    struct Slot {
        std::atomic<EvictionEntry*> lent{nullptr};  // the owner lends it pinned, the reader gives it back with nullptr
    };
    std::vector<Slot> slots(readers * blobs_per_reader);
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int reader = 0; reader < readers; ++reader) {
        threads.emplace_back([&slots, &done, reader] {
            while (!done.load()) {
                for (int i = 0; i < blobs_per_reader; ++i) {
                    Slot& slot = slots[static_cast<std::size_t>(reader * blobs_per_reader + i)];
                    EvictionEntry* entry = slot.lent.load(std::memory_order_acquire);
                    if (!entry) continue;
                    entry->touch();
                    if (entry->pin()) entry->unpin();  // a second reader of the same open blob
                    slot.lent.store(nullptr, std::memory_order_release);
                    entry->unpin();
                }
                std::this_thread::yield();
            }
        });
    }
    std::vector<EvictionEntry*> stored;
    std::uint64_t number = 0;
    int named_while_pinned = 0, evicted = 0;
    for (int round = 0; round < rounds; ++round) {
        while (eviction.bytes_used() + 1000 > eviction.capacity_bytes()) {
            EvictionEntry* victim = eviction.victim();
            if (!victim) {
                std::this_thread::yield();
                continue;
            }
            named_while_pinned += victim->pinned();
            std::erase(stored, victim);
            eviction.remove(*victim);
            ++evicted;
        }
        stored.push_back(eviction.insert(digest_of(++number), 1000));
        for (Slot& slot : slots) {
            if (slot.lent.load(std::memory_order_acquire)) continue;
            EvictionEntry* entry = stored[number * 31 % stored.size()];
            if (entry->pin()) slot.lent.store(entry, std::memory_order_release);
            break;
        }
    }
    for (Slot& slot : slots)
        while (slot.lent.load(std::memory_order_acquire)) std::this_thread::yield();
    done = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(named_while_pinned == 0);
    CHECK(evicted == rounds - 64);
    for (EvictionEntry* entry : stored) CHECK_FALSE(entry->pinned());
}
