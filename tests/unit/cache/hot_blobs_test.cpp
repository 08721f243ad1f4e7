#include "entrepot/cache/hot_blobs.h"

#include "store/store_box.h"

namespace entrepot {
namespace {

HotRef with_body(std::string text) {
    auto blob = std::make_shared<HotBlob>(digest_of(text), text.size());
    blob->body = std::make_shared<const std::string>(std::move(text));
    return blob;
}

constexpr Instant at(int seconds_passed) { return Instant{1'000'000'000'000} + seconds(seconds_passed); }

}  // namespace

TEST_CASE("hot blobs: what was inserted is found, what was forgotten is not, and a reader keeps what it holds") {
    CacheCounters counters;
    HotBlobs blobs({}, counters);
    auto blob = with_body("abc");
    blobs.insert(blob, at(0));
    CHECK(blobs.find(digest_of("abc"), at(1)) == blob);
    CHECK(blob->used == at(1));
    CHECK(blobs.find(digest_of("abd"), at(1)) == nullptr);
    CHECK(counters.hot_blobs.value() == 1);
    CHECK(counters.hot_bytes.value() == 3);
    blobs.forget(digest_of("abc"));
    blobs.forget(digest_of("abc"));
    CHECK(blobs.find(digest_of("abc"), at(1)) == nullptr);
    CHECK(*blob->body == "abc");
    CHECK(counters.hot_blobs.value() == 0);
    CHECK(counters.hot_bytes.value() == 0);
}

TEST_CASE("hot blobs: beyond the bound of entries the least recently used goes") {
    CacheCounters counters;
    HotBlobs::Options options;
    options.entries_max = 3;
    HotBlobs blobs(options, counters);
    for (auto text : {"a", "b", "c"}) blobs.insert(with_body(text), at(0));
    CHECK(blobs.find(digest_of("a"), at(1)));
    blobs.insert(with_body("d"), at(2));
    CHECK(blobs.find(digest_of("a"), at(3)));
    CHECK_FALSE(blobs.find(digest_of("b"), at(3)));
    CHECK(blobs.find(digest_of("c"), at(3)));
    CHECK(blobs.find(digest_of("d"), at(3)));
    CHECK(counters.hot_blobs.value() == 3);
}

TEST_CASE("hot blobs: beyond the bound of bytes the least recently used go, and what is larger than the bound does not stay") {
    CacheCounters counters;
    HotBlobs::Options options;
    options.body_bytes_max = 100;
    HotBlobs blobs(options, counters);
    auto first = std::string(50, 'a'), second = std::string(50, 'b'), third = std::string(60, 'c'), huge = std::string(101, 'd');
    blobs.insert(with_body(first), at(0));
    blobs.insert(with_body(second), at(1));
    CHECK(counters.hot_bytes.value() == 100);
    blobs.insert(with_body(third), at(2));
    CHECK_FALSE(blobs.find(digest_of(first), at(3)));
    CHECK_FALSE(blobs.find(digest_of(second), at(3)));
    CHECK(counters.hot_bytes.value() == 60);
    blobs.insert(with_body(huge), at(4));
    CHECK(counters.hot_bytes.value() <= 100);
    CHECK_FALSE(blobs.find(digest_of(huge), at(5)));
}

TEST_CASE("hot blobs: inserting a digest again replaces it and counts its bytes once") {
    CacheCounters counters;
    HotBlobs blobs({}, counters);
    blobs.insert(with_body("abc"), at(0));
    auto again = with_body("abc");
    blobs.insert(again, at(1));
    CHECK(blobs.find(digest_of("abc"), at(2)) == again);
    CHECK(counters.hot_blobs.value() == 1);
    CHECK(counters.hot_bytes.value() == 3);
    blobs.clear();
    CHECK(counters.hot_bytes.value() == 0);
}

TEST_CASE("hot blobs: eight grants are remembered; the ninth takes the place of the oldest") {
    HotBlob blob(digest_of("x"), 1);
    CHECK_FALSE(blob.granted_to(0));  // the empty places grant nobody
    for (std::uint64_t key = 1; key <= 8; ++key) blob.grant(key);
    for (std::uint64_t key = 1; key <= 8; ++key) CHECK(blob.granted_to(key));
    blob.grant(5);  // known: changes nothing
    CHECK(blob.granted_to(1));
    blob.grant(9);
    CHECK_FALSE(blob.granted_to(1));
    for (std::uint64_t key = 2; key <= 9; ++key) CHECK(blob.granted_to(key));
    blob.grant(1);
    CHECK_FALSE(blob.granted_to(2));
    CHECK(blob.granted_to(1));
}

TEST_CASE("hot blobs: idle descriptors are let go, bodies and busy ones stay") {
    StoreBox box;
    box.open();
    CacheCounters counters;
    HotBlobs blobs({}, counters);
    auto with_file = [&](const std::string& text, Instant used) {
        auto stored = box.put(text);
        REQUIRE(stored);
        auto blob = std::make_shared<HotBlob>(digest_of(text), text.size());
        blob->file = *std::move(stored);
        blobs.insert(blob, used);
        return std::weak_ptr<HotBlob>(blob);
    };
    auto busy = with_file(content(1000, 1), at(0));
    auto idle = with_file(content(1000, 2), at(1));
    auto young = with_file(content(1000, 3), at(15));
    blobs.insert(with_body("small"), at(0));
    // A transfer that goes on for long keeps its blob in use without asking for it again.
    busy.lock()->used = at(19);
    blobs.let_go_of_files(at(20), false);
    CHECK_FALSE(busy.expired());
    CHECK(idle.expired());
    CHECK_FALSE(young.expired());
    CHECK(counters.hot_blobs.value() == 3);
    blobs.let_go_of_files(at(20), true);
    CHECK(busy.expired());
    CHECK(young.expired());
    CHECK(blobs.find(digest_of("small"), at(21)));
    CHECK(counters.hot_blobs.value() == 1);
}

}  // namespace entrepot
