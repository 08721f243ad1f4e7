// Capacity: who leaves so that something can come, and what happens when nobody can.

#include "store_box.h"

#include <sys/mount.h>
#include <unistd.h>

#include <random>

namespace entrepot {
namespace {

/// What lies in the blob directories and partial files, in blocks.
std::uint64_t disk_use(const StoreBox& box) {
    std::uint64_t bytes = 0;
    for (auto* below : {"blobs", ".entrepot"}) {
        for (auto& entry : std::filesystem::recursive_directory_iterator(box.path(below))) {
            if (entry.is_regular_file() && !entry.path().string().ends_with(".sums") && entry.path().filename() != "volume")
                bytes += entry.file_size();
        }
    }
    return bytes;
}

Task<void> relieve(std::vector<BlobRef>* held, int* calls) {
    ++*calls;
    held->clear();
    co_return;
}

}  // namespace

TEST_CASE("room: filled to ten times its capacity a store never exceeds it, and keeps what it says it has") {
    constexpr std::uint64_t capacity = 16 * MiB;
    StoreBox box(capacity);
    box.open();
    std::mt19937 random(3);
    std::vector<std::string> texts;
    std::uint64_t put_bytes = 0;
    while (put_bytes < 10 * capacity) {
        auto text = content(1 + random() % (2 * MiB), 1000 + texts.size());
        auto put = box.put(text, texts.size() % 3 != 0);
        REQUIRE(put);
        put_bytes += text.size();
        texts.push_back(std::move(text));
        CHECK(disk_use(box) <= capacity);
        CHECK(box.store->counters().bytes <= capacity);
    }
    CHECK(box.store->counters().evictions > 0);
    CHECK(box.store->counters().bytes > capacity / 2);
    std::uint64_t present = 0;
    for (auto& text : texts) present += box.holds(text);
    CHECK(present == box.store->counters().blobs);
    box.reopen();
    CHECK(present == box.store->counters().blobs);
}

TEST_CASE("room: an open blob is never evicted, however much comes") {
    StoreBox box(8 * MiB);
    box.open();
    auto pinned = content(MiB, 1);
    auto held = box.put(pinned);
    REQUIRE(held);
    for (std::uint64_t i = 0; i < 40; ++i) REQUIRE(box.put(content(MiB, 100 + i)));
    CHECK(box.holds(pinned));
    CHECK(*box.read(*held) == pinned);
}

TEST_CASE("room: what cannot fit is refused with no_space and disturbs nobody") {
    StoreBox box(4 * MiB);
    box.open();
    auto small = content(MiB, 1);
    REQUIRE(box.put(small));
    auto refused = box.begin(digest_of("huge"), 5 * MiB);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Fault::capacity, Code::no_space});
    CHECK(box.holds(small));
    // All of it is open or promised: nobody can leave.
    auto held = box.get(digest_of(small));
    auto writer = box.begin(digest_of("being written"), 3 * MiB);
    REQUIRE(writer);
    auto second = box.begin(digest_of("one more"), 1);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::no_space);
    box.loop.run((*writer)->abandon(false));
    CHECK(box.put(content(2 * MiB, 2)));
}

TEST_CASE("room: before a reservation is refused, those who cache open blobs are asked to let go") {
    StoreBox box(4 * MiB);
    box.open();
    std::vector<BlobRef> held;
    int calls = 0;
    box.store->set_pressure_relief([&] { return relieve(&held, &calls); });
    for (std::uint64_t i = 0; i < 4; ++i) {
        auto put = box.put(content(MiB, i + 1));
        REQUIRE(put);
        held.push_back(*put);
    }
    CHECK(calls == 0);
    CHECK(box.put(content(2 * MiB, 99)));
    CHECK(calls == 1);
}

TEST_CASE("room: a blob of unknown length reserves as it grows, and stops storing when the room ends") {
    StoreBox box(8 * MiB);
    box.open();
    auto text = content(12 * MiB, 5);
    auto writer = box.begin(digest_of(text));
    REQUIRE(writer);
    auto appended = box.append(**writer, text);
    REQUIRE_FALSE(appended);
    CHECK(appended.error().code == Code::no_space);
    CHECK((*writer)->written() <= 8 * MiB);
    CHECK((*writer)->written() >= 6 * MiB);
    CHECK_FALSE(box.loop.run((*writer)->append(bytes_of("more"), -1)));
    box.loop.run((*writer)->abandon(false));
    CHECK(box.put(content(6 * MiB, 6), false));
}

TEST_CASE("room: kept parts leave when blobs alone cannot make the room") {
    StoreBox box(8 * MiB);
    box.open();
    auto text = content(7 * MiB, 5);
    {
        auto writer = box.begin(digest_of(text), text.size());
        REQUIRE(writer);
        REQUIRE(box.append(**writer, std::string_view(text).substr(0, 4 * MiB)));
        box.loop.run((*writer)->abandon(true));
    }
    CHECK(box.store->partial_bytes(digest_of(text)) > 0);
    CHECK(box.put(content(6 * MiB, 6)));
    CHECK(box.store->partial_bytes(digest_of(text)) == 0);
    CHECK(box.store->counters().partial_bytes == 0);
}

TEST_CASE("room: a start with a smaller capacity brings the store down to it") {
    StoreBox box(32 * MiB);
    box.open();
    for (std::uint64_t i = 0; i < 30; ++i) REQUIRE(box.put(content(MiB, i + 1)));
    box.close();
    box.options.capacity_bytes = 8 * MiB;
    box.open();
    box.until([&] { return box.store->counters().bytes <= 8 * MiB; });
    CHECK(disk_use(box) <= 8 * MiB);
}

TEST_CASE("room: a disk that is full although the capacity is not makes others leave, and then refuses") {
    if (::geteuid() != 0) {
        MESSAGE("needs root to mount a small file system");
        return;
    }
    ScratchDirectory scratch;
    auto volume = scratch.path() + "/small";
    std::filesystem::create_directory(volume);
    if (::mount("tmpfs", volume.c_str(), "tmpfs", 0, "size=16m,mode=0700") != 0) {
        MESSAGE("no tmpfs can be mounted here");
        return;
    }
    {
        StoreBox box(GiB);
        box.options.volumes = {volume};
        box.open();
        std::vector<std::string> texts;
        for (std::uint64_t i = 0; i < 40; ++i) {
            texts.push_back(content(MiB, i + 1));
            auto put = box.put(texts.back(), i % 2 == 0);
            REQUIRE(put);
        }
        CHECK(box.store->counters().evictions >= 24);
        for (auto& text : texts) {
            auto blob = box.get(digest_of(text));
            if (blob) CHECK(*box.read(*blob) == text);
        }
        // Nobody else to evict: the blob itself is larger than the disk.
        auto too_large = content(20 * MiB, 99);
        auto evictions = box.store->counters().evictions.load();
        auto known = box.put(too_large, true);
        REQUIRE_FALSE(known);
        CHECK(box.store->counters().evictions == evictions);  // nobody left in vain
        CHECK(known.error().fault == Fault::storage);
        CHECK(known.error().code == Code::no_space);
        auto unknown = box.put(too_large, false);
        REQUIRE_FALSE(unknown);
        CHECK(unknown.error().code == Code::no_space);
        CHECK(box.put(content(MiB, 100)));
        CHECK(box.store->counters().write_errors > 0);
        // A kept part that proves worthless is gone when the disk refuses a new beginning: nothing is kept of it in the books either.
        auto part = content(2 * MiB, 101);
        auto writer = box.begin(digest_of(part), part.size());
        REQUIRE(writer);
        REQUIRE(box.append(**writer, part));
        box.loop.run((*writer)->abandon(true));
        CHECK(box.store->counters().partial_bytes > 0);
        auto path = std::filesystem::path(volume) / ".entrepot/partial" / ("sha256-" + digest_of(part).hex());
        auto damaged = read_text(path);
        damaged[0] ^= 1;
        write_text(path, damaged);
        CHECK_FALSE(box.begin(digest_of(part), 20 * MiB));
        CHECK(box.store->partial_bytes(digest_of(part)) == 0);
        CHECK(box.store->counters().partial_bytes == 0);
    }
    ::umount(volume.c_str());
}

}  // namespace entrepot
