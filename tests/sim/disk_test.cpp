// What the simulated disk promises to lose and to keep.

#include "disk.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <set>

namespace entrepot::sim {
namespace {

constexpr int crashes = 300;

InodeRef create(Disk& disk, const InodeRef& directory, const char* name, std::string_view text) {
    InodeRef file;
    REQUIRE(disk.open(directory, name, O_CREAT | O_RDWR, 0600, file) == 0);
    REQUIRE(disk.write(*file, bytes_of(text), 0, false) == static_cast<std::int64_t>(text.size()));
    return file;
}

std::string text_after_crash(const Disk& disk, const char* path) {
    for (const auto& [name, inode] : disk.files()) {
        if (name == path) return inode->data;
    }
    return "(none)";
}

}  // namespace

TEST_CASE("disk: what was synced survives every crash") {
    Random random(1);
    for (int i = 0; i < crashes; ++i) {
        Disk disk("/d", MiB);
        std::string text(10'000, 'x');
        auto file = create(disk, disk.root(), "f", text);
        REQUIRE(disk.sync(*file, false) == 0);
        REQUIRE(disk.sync(*disk.root(), false) == 0);
        disk.write(*file, bytes_of("later"), 20'000, false);
        disk.crash(random);
        REQUIRE(text_after_crash(disk, "f").substr(0, text.size()) == text);
    }
}

TEST_CASE("disk: unsynced pages are kept, lost or torn, each on its own") {
    Random random(2);
    std::set<std::string> outcomes;
    for (int i = 0; i < crashes; ++i) {
        Disk disk("/d", MiB);
        auto file = create(disk, disk.root(), "f", std::string(2 * page_bytes, 'o'));
        disk.sync(*file, false);
        disk.sync(*disk.root(), false);
        disk.write(*file, bytes_of(std::string(2 * page_bytes, 'n')), 0, false);
        disk.crash(random);
        auto left = text_after_crash(disk, "f");
        REQUIRE(left.size() == 2 * page_bytes);
        std::string kinds;
        for (int page = 0; page < 2; ++page) {
            auto bytes = std::string_view(left).substr(static_cast<std::size_t>(page) * page_bytes, page_bytes);
            kinds += bytes.find('o') == bytes.npos ? 'k' : bytes.find('n') == bytes.npos ? 'l' : 't';
        }
        outcomes.insert(kinds);
    }
    CHECK(outcomes.size() == 9);
}

TEST_CASE("disk: a rename may be lost until its directory is synced, and is never half done") {
    Random random(3);
    std::set<std::string> outcomes;
    for (int i = 0; i < crashes; ++i) {
        Disk disk("/d", MiB);
        auto file = create(disk, disk.root(), "new", "new");
        auto old = create(disk, disk.root(), "name", "old");
        disk.sync(*file, false);
        disk.sync(*old, false);
        disk.sync(*disk.root(), false);
        REQUIRE(disk.rename(disk.root(), "new", disk.root(), "name", 0) == 0);
        bool synced = random.chance(0.3);
        if (synced) disk.sync(*disk.root(), false);
        disk.crash(random);
        auto outcome = text_after_crash(disk, "name");
        if (synced) REQUIRE(outcome == "new");
        REQUIRE((outcome == "new" || outcome == "old"));
        REQUIRE((text_after_crash(disk, "new") == "new") == (outcome == "old"));
        outcomes.insert(outcome);
    }
    CHECK(outcomes.size() == 2);
}

TEST_CASE("disk: after a failed sync the pages look written and are not") {
    Random random(4);
    Disk disk("/d", MiB);
    auto file = create(disk, disk.root(), "f", "data");
    REQUIRE(disk.sync(*disk.root(), false) == 0);
    CHECK(disk.sync(*file, true) == -EIO);
    CHECK(disk.sync(*file, false) == 0);
    std::string text(4, '\0');
    MutableBytes into(reinterpret_cast<std::byte*>(text.data()), text.size());
    CHECK(disk.read(*file, into, 0, false) == 4);
    CHECK(text == "data");
    disk.reclaim(*file, random, 1);
    CHECK(disk.read(*file, into, 0, false) == 4);
    CHECK(text == std::string(4, '\0'));
}

TEST_CASE("disk: space counts while a file has a name or a descriptor") {
    Disk disk("/d", 64 * KiB);
    auto file = create(disk, disk.root(), "f", std::string(40 * KiB, 'x'));
    CHECK(disk.used() == 40 * KiB);
    InodeRef other;
    REQUIRE(disk.open(disk.root(), "g", O_CREAT | O_RDWR, 0600, other) == 0);
    CHECK(disk.allocate(*other, 0, 32 * KiB) == -ENOSPC);
    REQUIRE(disk.unlink(disk.root(), "f") == 0);
    CHECK(disk.used() == 40 * KiB);
    disk.closed(*file);
    CHECK(disk.used() == 0);
    CHECK(disk.allocate(*other, 0, 32 * KiB) == 0);
}

TEST_CASE("disk: saved and loaded it is the same") {
    Disk disk("/d", MiB);
    REQUIRE(disk.make_directory(disk.root(), "dir", 0700) == 0);
    create(disk, disk.root(), "dir/f", "inner");
    create(disk, disk.root(), "g", std::string(5000, 'y'));
    disk.settle();
    Disk other("/d", MiB);
    other.load(disk.save());
    CHECK(text_after_crash(other, "dir/f") == "inner");
    CHECK(text_after_crash(other, "g") == std::string(5000, 'y'));
    CHECK(other.used() == disk.used());
}

}  // namespace entrepot::sim
