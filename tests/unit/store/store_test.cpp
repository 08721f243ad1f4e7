#include "entrepot/store/store.h"

#include "store_box.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

namespace entrepot {

TEST_CASE("store: a published blob is found, opened and read back") {
    StoreBox box;
    box.open();
    auto text = content(3 * chunk_bytes + 1234);
    auto digest = digest_of(text);
    CHECK_FALSE(box.has(digest));
    {
        auto published = box.put(text);
        REQUIRE(published);
        CHECK((*published)->size() == text.size());
        CHECK((*published)->verified(0, text.size()));
    }
    auto blob = box.get(digest);
    REQUIRE(blob);
    CHECK_FALSE((*blob)->verified(0, 1));
    auto back = box.read(*blob);
    REQUIRE(back);
    CHECK(*back == text);
    CHECK((*blob)->verified(0, text.size()));
    CHECK(read_text(box.blob_path(digest)) == text);
    CHECK_FALSE(std::filesystem::exists(box.partial_path(digest)));
    CHECK(box.store->counters().blobs == 1);
}

TEST_CASE("store: blobs survive a restart, of every length around a chunk, with and without a known length") {
    StoreBox box;
    box.open();
    std::vector<std::string> texts;
    for (std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, chunk_bytes - 1, chunk_bytes + 0,
                               chunk_bytes + 1, 5 * chunk_bytes}) {
        for (bool length_known : {true, false}) {
            if (length == 0 && !length_known) continue;  // the same blob again
            texts.push_back(content(length, texts.size() + 1));
            auto put = box.put(texts.back(), length_known);
            REQUIRE(put);
        }
    }
    box.reopen();
    CHECK(box.store->counters().blobs == texts.size());
    for (auto& text : texts) {
        auto blob = box.get(digest_of(text));
        REQUIRE(blob);
        auto back = box.read(*blob);
        REQUIRE(back);
        CHECK(*back == text);
    }
}

TEST_CASE("store: a second server on the same directory is refused, with the reason") {
    StoreBox box;
    box.open();
    auto second = Store::open(box.options);
    REQUIRE_FALSE(second);
    CHECK(second.error().find("another entrepot is using") != std::string::npos);
    box.close();
    auto third = Store::open(box.options);
    CHECK(third);
}

TEST_CASE("store: a directory that is a symbolic link, a file, or writable by everybody is refused") {
    StoreBox box;
    std::filesystem::create_directory(box.scratch.path() + "/real");
    std::filesystem::create_directory_symlink(box.scratch.path() + "/real", box.options.directory);
    auto linked = Store::open(box.options);
    REQUIRE_FALSE(linked);
    CHECK(linked.error().find("symbolic link") != std::string::npos);
    std::filesystem::remove(box.options.directory);
    write_text(box.options.directory, "no directory");
    CHECK_FALSE(Store::open(box.options));
    std::filesystem::remove(box.options.directory);
    std::filesystem::create_directory(box.options.directory);
    ::chmod(box.options.directory.c_str(), 0777);
    auto open_to_all = Store::open(box.options);
    REQUIRE_FALSE(open_to_all);
    CHECK(open_to_all.error().find("writable by everybody") != std::string::npos);
    if (::geteuid() != 0) return;
    ::chmod(box.options.directory.c_str(), 0700);
    REQUIRE(::chown(box.options.directory.c_str(), 65534, 65534) == 0);
    auto foreign = Store::open(box.options);
    REQUIRE_FALSE(foreign);
    CHECK(foreign.error().find("another user") != std::string::npos);
}

TEST_CASE("store: what it makes is readable by its user only") {
    StoreBox box;
    box.open();
    auto text = content(10);
    REQUIRE(box.put(text));
    for (auto path :
         {std::filesystem::path(box.options.directory), box.path("ledger"), box.path(".entrepot"), box.path("blobs/sha256")}) {
        CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::mask) == std::filesystem::perms::owner_all);
    }
    CHECK((std::filesystem::status(box.blob_path(digest_of(text))).permissions() & std::filesystem::perms::others_all) ==
          std::filesystem::perms::none);
}

TEST_CASE("store: a flipped bit is found by its chunk's sum, and the blob can be quarantined while it is open") {
    StoreBox box;
    box.open();
    auto text = content(3 * chunk_bytes);
    auto digest = digest_of(text);
    REQUIRE(box.put(text));
    auto damaged = text;
    damaged[chunk_bytes + 77] ^= 4;
    write_text(box.blob_path(digest), damaged);
    auto blob = box.get(digest);
    REQUIRE(blob);
    auto buffer = box.buffers.try_take();
    CHECK(box.loop.run((*blob)->read_chunk(0, buffer)));
    auto bad = box.loop.run((*blob)->read_chunk(1, buffer));
    REQUIRE_FALSE(bad);
    CHECK(bad.error() == Error{Fault::storage, Code::corrupt});
    CHECK_FALSE((*blob)->verified(chunk_bytes, 1));
    box.loop.run(box.store->quarantine(digest));
    CHECK_FALSE(box.has(digest));
    CHECK(std::filesystem::exists(box.path(".entrepot/quarantine") / ("sha256-" + digest.hex())));
    CHECK(box.loop.run((*blob)->read_chunk(2, buffer)));  // the descriptor stays valid
    CHECK(box.store->counters().quarantined == 1);
    // The digest is free to be fetched again.
    auto again = box.put(text);
    REQUIRE(again);
    CHECK(*box.read(*again) == text);
}

TEST_CASE("store: sums that are wrong in the ledger cost no blob: its digest clears it, and the sums are corrected") {
    StoreBox box;
    box.open();
    auto text = content(2 * chunk_bytes + 99);
    auto digest = digest_of(text);
    REQUIRE(box.put(text));
    auto right = box.store->ledger().find_blob(digest)->sums;
    auto wrong = right;
    wrong[1] ^= 1;
    REQUIRE(box.apply(PutSums{digest, wrong}));
    auto blob = box.get(digest);
    REQUIRE(blob);
    CHECK(box.read(*blob).error() == Error{Fault::storage, Code::corrupt});
    box.loop.run(box.store->quarantine(digest));
    CHECK(box.store->ledger().find_blob(digest)->sums == right);
    CHECK(box.holds(text));
    CHECK(box.store->counters().quarantined == 0);
    CHECK(box.store->counters().corrected == 1);
    // Who opened it before complains late: that is no reason to lose it either.
    CHECK(box.read(*blob).error() == Error{Fault::storage, Code::corrupt});
    box.loop.run(box.store->quarantine(digest));
    CHECK(box.holds(text));
    CHECK(box.store->counters().corrected == 1);
}

TEST_CASE("store: who was told other bytes than the disk holds gets a new file, although the disk's are right") {
    StoreBox box;
    box.open();
    auto text = content(2 * chunk_bytes);
    REQUIRE(box.put(text));
    box.loop.run(box.store->quarantine(digest_of(text)));
    CHECK_FALSE(box.has(digest_of(text)));
    CHECK(box.store->counters().quarantined == 1);
}

TEST_CASE("store: what nobody opened for long is read past memory by a lone reader; wanted again it goes through memory") {
    ColdBox box;
    box.open();
    auto text = content(5 * chunk_bytes + 1234);
    if (!box.put_cold(text)) return;
    auto buffer = box.buffers.try_take();
    {
        auto blob = box.get(digest_of(text));
        REQUIRE(blob);
        CHECK_FALSE((*blob)->suits_direct_read());  // nobody is sending it
        BlobReader reader(**blob);
        REQUIRE((*blob)->suits_direct_read());
        std::string back;
        for (std::uint64_t chunk = 0; chunk < chunk_count(text.size()); ++chunk) {
            auto bytes = box.loop.run((*blob)->read_chunk(chunk, buffer, ReadVia::disk));
            REQUIRE(bytes);
            back += text_of(*bytes);
        }
        CHECK(back == text);
        CHECK((*blob)->verified(0, text.size()));
        CHECK_FALSE(box.loop->ring().resident((*blob)->file(), 0, 1, false));
        CHECK_FALSE(box.loop->ring().resident((*blob)->file(), 5 * chunk_bytes, 1234, false));
        BlobReader second(**blob);
        CHECK_FALSE((*blob)->suits_direct_read());  // they share what either reads
    }
    auto again = box.get(digest_of(text));
    REQUIRE(again);
    BlobReader reader(**again);
    CHECK_FALSE((*again)->suits_direct_read());
}

TEST_CASE("store: pages that a read found in memory are not doubted, those it had to bring in are") {
    ColdBox box;
    box.open();
    auto text = content(2 * chunk_bytes);
    if (!box.put_cold(text)) return;
    auto buffer = box.buffers.try_take();
    for (bool in_memory : {false, true}) {
        CAPTURE(in_memory);
        auto blob = box.get(digest_of(text));  // opened anew: nothing of it is verified
        REQUIRE(blob);
        CHECK_FALSE((*blob)->verified(0, 1));
        REQUIRE(box.loop.run((*blob)->read_chunk(0, buffer)));
        CHECK((*blob)->doubt().holds(box.loop->time()) == !in_memory);
    }
}

TEST_CASE("store: after others of as many bytes as there is memory a blob is cold again") {
    ColdBox box;
    box.open();
    auto text = content(3 * chunk_bytes), other = content(17 * MiB, 2);
    if (!box.put_cold(other)) return;
    if (!box.put_cold(text)) return;
    auto suits = [&box](const std::string& which) {
        auto blob = box.get(digest_of(which));
        REQUIRE(blob);
        BlobReader reader(**blob);
        return (*blob)->suits_direct_read();
    };
    CHECK(suits(text));
    CHECK_FALSE(suits(text));
    suits(other);
    CHECK(suits(text));
}

TEST_CASE("store: a read past memory finds a flipped bit and a file that was cut short") {
    ColdBox box;
    box.open();
    auto text = content(3 * chunk_bytes + 100);
    if (!box.put_cold(text)) return;
    auto buffer = box.buffers.try_take();
    auto blob = box.get(digest_of(text));
    REQUIRE(blob);
    auto damaged = text;
    damaged[chunk_bytes + 77] ^= 4;
    write_text(box.blob_path(digest_of(text)), damaged);
    CHECK(box.loop.run((*blob)->read_chunk(0, buffer, ReadVia::disk)));
    CHECK(box.loop.run((*blob)->read_chunk(1, buffer, ReadVia::disk)).error() == Error{Fault::storage, Code::corrupt});
    CHECK_FALSE((*blob)->verified(chunk_bytes, 1));
    for (auto length : {3 * chunk_bytes + 99, 3 * chunk_bytes, 2 * chunk_bytes + 5000, 2 * chunk_bytes}) {
        std::filesystem::resize_file(box.blob_path(digest_of(text)), length);
        auto chunk = (length - 1) / chunk_bytes + (length % chunk_bytes == 0);
        CHECK(box.loop.run((*blob)->read_chunk(chunk, buffer, ReadVia::disk)).error() == Error{Fault::storage, Code::corrupt});
    }
}

TEST_CASE("store: at most sixteen damaged blobs are kept, also across a restart, and their bytes come back") {
    StoreBox box;
    box.open();
    for (int round = 0; round < 2; ++round) {
        for (std::uint64_t i = 0; i < 12; ++i) {
            auto text = content(5000, 100 * round + i);
            REQUIRE(box.put(text));
            write_text(box.blob_path(digest_of(text)), content(5000, 1000));
            box.loop.run(box.store->quarantine(digest_of(text)));
        }
        box.reopen();
    }
    std::size_t kept = 0;
    for ([[maybe_unused]] auto& entry : std::filesystem::directory_iterator(box.path(".entrepot/quarantine"))) ++kept;
    CHECK(kept == 16);
}

TEST_CASE("store: a file that vanished or changed its size is not found, and its record goes") {
    StoreBox box;
    box.open();
    auto gone = content(1000, 1), cut = content(2000, 2), grown = content(3000, 3);
    for (auto& text : {gone, cut, grown}) REQUIRE(box.put(text));
    std::filesystem::remove(box.blob_path(digest_of(gone)));
    write_text(box.blob_path(digest_of(cut)), cut.substr(0, 500));
    write_text(box.blob_path(digest_of(grown)), grown + "!");
    for (auto& text : {gone, cut, grown}) {
        auto opened = box.get(digest_of(text));
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == Code::not_found);
        CHECK_FALSE(box.store->ledger().find_blob(digest_of(text)));
    }
    CHECK(box.store->counters().blobs == 0);
    CHECK(box.store->counters().bytes == 0);
}

TEST_CASE("store: a truncated file under an open blob is an error, never wrong bytes") {
    StoreBox box;
    box.open();
    auto text = content(2 * chunk_bytes);
    REQUIRE(box.put(text));
    auto blob = box.get(digest_of(text));
    REQUIRE(blob);
    std::filesystem::resize_file(box.blob_path(digest_of(text)), chunk_bytes + 100);
    auto buffer = box.buffers.try_take();
    CHECK(box.loop.run((*blob)->read_chunk(0, buffer)));
    auto cut = box.loop.run((*blob)->read_chunk(1, buffer));
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Code::corrupt);
}

TEST_CASE("store: remove refuses a blob in use and removes it afterwards") {
    StoreBox box;
    box.open();
    auto text = content(100);
    {
        auto blob = box.put(text);
        REQUIRE(blob);
        auto refused = box.loop.run(box.store->remove(digest_of(text)));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::busy);
    }
    CHECK(box.loop.run(box.store->remove(digest_of(text))));
    CHECK_FALSE(box.has(digest_of(text)));
    CHECK_FALSE(std::filesystem::exists(box.blob_path(digest_of(text))));
}

TEST_CASE("store: a blob whose file cannot be removed leaves the account as it is, and the next start looks for it") {
    StoreBox box;
    box.open();
    auto text = content(100'000), other = content(100'000, 2);
    REQUIRE(box.put(text));
    REQUIRE(box.put(other));
    box.close_in_order();
    box.open();
    auto path = box.blob_path(digest_of(text));
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);  // unlink answers EISDIR
    REQUIRE(box.loop.run(box.store->remove(digest_of(text))));
    CHECK_FALSE(box.has(digest_of(text)));
    box.close();  // asserts that the account came out even
    std::filesystem::remove(path);
    CHECK_FALSE(box.in_order());
    box.open();
    CHECK(box.holds(other));
}

TEST_CASE("store: a digest has one writer at a time; the second is told that it is busy") {
    StoreBox box;
    box.open();
    auto text = content(100);
    auto first = box.begin(digest_of(text), text.size());
    REQUIRE(first);
    auto second = box.begin(digest_of(text), text.size());
    REQUIRE_FALSE(second);
    CHECK(second.error() == Error{Fault::capacity, Code::busy});
    box.loop.run((*first)->abandon(false));
    auto third = box.begin(digest_of(text), text.size());
    REQUIRE(third);
    box.loop.run((*third)->abandon(false));
}

TEST_CASE("store: other loops reach the owner, and a touch from anywhere reaches the eviction") {
    StoreBox box;
    box.open();
    auto text = content(1000);
    REQUIRE(box.put(text));
    std::atomic<bool> done{false};
    bool found = false, published = false;
    std::thread other([&] {
        box.other_loop = std::make_unique<TestLoop>();
        auto& loop = *box.other_loop;
        auto blob = loop.run(box.store->open(digest_of(text)));
        found = blob.has_value();
        std::vector<Digest> used{digest_of(text), digest_of("never stored")};
        box.store->touch(used);
        auto more = content(5000, 2);
        Digester digester(DigestAlgorithm::sha256);
        auto writer = loop.run(box.store->begin(digest_of(more), more.size(), digester));
        if (writer) {
            auto appended = loop.run((*writer)->append(bytes_of(more), -1));
            auto put = loop.run((*writer)->publish());
            published = appended && put;
        }
        done = true;
    });
    box.until([&] { return done.load(); });
    other.join();
    CHECK(found);
    CHECK(published);
    CHECK(box.has(digest_of(content(5000, 2))));
}

TEST_CASE("store: what is discarded goes together with its changes, whoever reads it, and what is not there is passed over") {
    StoreBox box;
    box.open();
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 5; ++i) texts.push_back(content(1000 + i * chunk_bytes, i + 1));
    for (auto& text : texts) REQUIRE(box.put(text));
    auto reading = box.get(digest_of(texts[4]));
    REQUIRE(reading);
    auto writer = box.begin(digest_of("on its way"), 10);
    REQUIRE(writer);
    std::vector<Digest> going{digest_of(texts[0]), digest_of(texts[4]), digest_of("nobody"), digest_of("on its way"),
                              digest_of(texts[0])};
    std::vector<LedgerChange> changes;
    changes.push_back(PutGrant{"", "r/x", digest_of("with it")});
    auto left = box.loop.run(box.store->discard(going, std::move(changes)));
    REQUIRE(left);
    CHECK(*left == std::vector<Digest>{digest_of(texts[0]), digest_of(texts[4])});
    CHECK(box.store->ledger().granted("", "r/x", digest_of("with it")));
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK(box.has(digest_of(texts[i])) == (i != 0 && i != 4));
    CHECK_FALSE(std::filesystem::exists(box.blob_path(digest_of(texts[4]))));
    auto back = box.read(*reading);
    REQUIRE(back);
    CHECK(*back == texts[4]);
    CHECK(box.store->counters().blobs == 3);
    box.loop.run((*writer)->abandon(false));
    REQUIRE(box.put(texts[4]));
    CHECK(box.holds(texts[4]));
    reading->reset();
    box.reopen();
    CHECK(box.holds(texts[4]));
    CHECK_FALSE(box.has(digest_of(texts[0])));
}

TEST_CASE("store: a ledger that refuses leaves what was to be discarded as it was") {
    StoreBox box;
    box.open();
    auto text = content(1000);
    REQUIRE(box.put(text));
    std::vector<LedgerChange> changes;
    changes.push_back(PutGrant{"", "r/x", digest_of(text), 0, std::string(told_platform_bytes_max + 1, 'x')});
    auto left = box.loop.run(box.store->discard({digest_of(text)}, std::move(changes)));
    REQUIRE_FALSE(left);
    CHECK(left.error().code == Code::too_large);
    CHECK(box.holds(text));
    CHECK(box.store->counters().blobs == 1);
}

TEST_CASE("store: a kept partial file of a discarded digest goes too") {
    StoreBox box;
    box.open();
    auto text = content(4 * chunk_bytes);
    auto writer = box.begin(digest_of(text), text.size());
    REQUIRE(writer);
    REQUIRE(box.append(**writer, std::string_view(text).substr(0, 3 * chunk_bytes)));
    box.loop.run((*writer)->abandon(true));
    REQUIRE(box.store->partial_bytes(digest_of(text)) > 0);
    REQUIRE(box.loop.run(box.store->discard({digest_of(text)}, {})));
    CHECK(box.store->partial_bytes(digest_of(text)) == 0);
    box.until([&] { return !std::filesystem::exists(box.partial_path(digest_of(text))); });
}

}  // namespace entrepot
