// The scrub of a store on a real directory, in a period of a fraction of a second.

#include "store_box.h"

#include <algorithm>

namespace entrepot {
namespace {

void flip_a_bit(const std::filesystem::path& path, std::size_t at) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    auto byte = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 16));
}

struct ScrubBox : StoreBox {
    /// Orderly, and from now on it scrubs.
    void start_scrub(Duration period = milliseconds(200)) {
        close_in_order();
        options.scrub_period = period;
        open();
    }
    std::uint64_t damaged() const { return store->counters().scrub_damaged; }
    std::uint64_t blobs_read() const { return store->counters().scrubbed_blobs; }
    void until_read(std::uint64_t blobs) {
        until([this, until_then = blobs_read() + blobs] { return blobs_read() >= until_then; });
    }
};

}  // namespace

TEST_CASE("scrub: every damaged blob is found and taken out of sight, and no other") {
    ScrubBox box;
    box.open();
    std::vector<std::string> whole, damaged;
    for (std::uint64_t i = 0; i < 30; ++i) {
        constexpr std::size_t lengths[] = {1, 700, 4096, 5000, chunk_bytes, chunk_bytes + 1, 3 * chunk_bytes + 99};
        auto text = content(lengths[i % std::size(lengths)], i + 1);
        REQUIRE(box.put(text));
        (i % 3 == 0 ? damaged : whole).push_back(text);
    }
    REQUIRE(box.put(""));
    box.close_in_order();
    for (std::size_t i = 0; i < damaged.size(); ++i) {
        auto path = box.blob_path(digest_of(damaged[i]));
        if (i == 1) std::filesystem::remove(path);
        else if (i == 2) std::filesystem::resize_file(path, damaged[i].size() - 1);
        else if (i == 3) std::filesystem::resize_file(path, damaged[i].size() + 1);
        else flip_a_bit(path, damaged[i].size() * i / damaged.size());
    }
    box.options.scrub_period = milliseconds(200);
    box.open();
    box.until([&] { return box.damaged() == damaged.size(); });
    box.until_read(3 * whole.size());
    CHECK(box.damaged() == damaged.size());
    CHECK(box.store->counters().quarantined == damaged.size() - 1);  // one file was gone
    CHECK(box.store->counters().blobs == whole.size() + 1);
    CHECK(box.store->counters().corrected == 0);
    CHECK(box.store->counters().scrub_pass_ended > 0);
    for (auto& text : damaged) CHECK_FALSE(box.has(digest_of(text)));
    for (auto& text : whole) CHECK(box.holds(text));
    // What was found can be stored again, and stays.
    REQUIRE(box.put(damaged[0]));
    box.until_read(2 * whole.size());
    CHECK(box.holds(damaged[0]));
}

TEST_CASE("scrub: sums that are wrong or missing in the ledger cost no blob, and are made right") {
    ScrubBox box;
    box.open();
    auto small = content(1000, 1), large = content(3 * chunk_bytes, 2), unsummed = content(2 * chunk_bytes, 3);
    for (auto& text : {small, large, unsummed}) {
        REQUIRE(box.put(text));
        auto sums = box.store->ledger().find_blob(digest_of(text))->sums;
        sums.back() += 1;
        if (text == unsummed) sums.clear();
        REQUIRE(box.apply(PutSums{digest_of(text), sums}));
    }
    auto many = content(1000, 4);
    REQUIRE(box.put(many));
    REQUIRE(box.apply(PutSums{digest_of(many), {1, 2, 3}}));  // more than there are chunks
    box.start_scrub();
    box.until_read(8);
    CHECK(box.damaged() == 0);
    CHECK(box.store->counters().corrected == 2);
    for (auto& text : {small, large, unsummed, many}) {
        auto record = box.store->ledger().find_blob(digest_of(text));
        REQUIRE(record);
        CHECK(record->verified());
        CHECK(box.holds(text));
    }
    CHECK(box.store->counters().quarantined == 0);
}

TEST_CASE("scrub: a restart goes on where the last process was, within a blob too") {
    ScrubBox box;
    box.open();
    std::vector<Digest> digests;
    for (std::uint64_t i = 0; i < 8; ++i) {
        auto text = content(4 * chunk_bytes, i + 1);
        REQUIRE(box.put(text));
        digests.push_back(digest_of(text));
    }
    std::sort(digests.begin(), digests.end(), [](auto& a, auto& b) { return a.text() < b.text(); });
    ScrubRecord record;
    record.at = digests[6];
    record.next_chunk = 2;
    record.pass_started = record.pass_ended = 1000;
    REQUIRE(box.apply(PutScrub{record}));
    box.close_in_order();
    for (std::size_t i = 0; i < 6; ++i) flip_a_bit(box.blob_path(digests[i]), 0);
    flip_a_bit(box.blob_path(digests[6]), chunk_bytes + 5);      // it was there already
    flip_a_bit(box.blob_path(digests[7]), 3 * chunk_bytes + 5);  // it comes to this one
    box.options.scrub_period = seconds(2);
    box.open();
    box.until([&] { return !box.store->ledger().find_blob_head(digests[7]); });
    CHECK(box.damaged() == 1);
    CHECK(box.store->ledger().find_blob_head(digests[6]));
    box.close();
    // An end in the middle of a pass is remembered.
    box.options.scrub_period = Duration{0};
    box.open();
    auto left_at = box.store->ledger().scrub();
    CHECK(left_at.pass_ended >= 1000);
    box.close();
    box.options.scrub_period = milliseconds(200);
    box.open();
    box.until([&] { return box.damaged() == 7; });
    CHECK(box.store->counters().blobs == 0);
}

TEST_CASE("scrub: a store without blobs is passed over and over, and what comes is found") {
    ScrubBox box;
    box.options.scrub_period = milliseconds(100);
    box.open();
    box.until([&] { return box.store->counters().scrub_pass_ended > 0; });
    CHECK(box.blobs_read() == 0);
    auto text = content(5000);
    REQUIRE(box.put(text));
    box.until_read(2);
    flip_a_bit(box.blob_path(digest_of(text)), 77);
    box.until([&] { return box.damaged() == 1; });
    CHECK_FALSE(box.has(digest_of(text)));
}

TEST_CASE("scrub: it stands in nobody's way: a blob that is being read, evicted, or written again while it looks") {
    ScrubBox box;
    box.options.capacity_bytes = 8 * MiB;
    box.options.scrub_period = milliseconds(20);
    box.open();
    for (std::uint64_t i = 0; i < 28; ++i) {
        auto text = content(300 * KiB + i * 7919 % (600 * KiB), i + 1);
        auto put = box.put(text);
        REQUIRE(put);
        box.loop.run_for(milliseconds(5));
        if (i % 5 == 0) flip_a_bit(box.blob_path(digest_of(text)), text.size() / 2);
        if (i % 7 == 0) CHECK(box.loop.run(box.store->discard({digest_of(text)}, {})));
        if (i % 7 == 1) REQUIRE(box.put(text));
    }
    box.until_read(20);
    CHECK(box.store->counters().bytes.load() <= 8 * MiB);
}

}  // namespace entrepot
