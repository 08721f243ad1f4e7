#include "entrepot/store/blob_writer.h"

#include "store_box.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace entrepot {
namespace {

/// Begins `text` again after something of it was kept, and checks that what was fed to the digester is what the file holds.
struct Resumed {
    Resumed(StoreBox& box, const std::string& text, std::optional<std::uint64_t> length) : digester(DigestAlgorithm::sha256) {
        auto begun = box.loop.run(box.store->begin(digest_of(text), length, digester));
        REQUIRE(begun);
        writer = std::move(*begun);
        CHECK(digester.finish() == digest_of(std::string_view(text).substr(0, writer->written())));
    }
    Digester digester;
    std::unique_ptr<BlobWriter> writer;
};

void write_part_and_keep(StoreBox& box, const std::string& text, std::size_t part, std::optional<std::uint64_t> length) {
    auto writer = box.begin(digest_of(text), length);
    REQUIRE(writer);
    REQUIRE(box.append(**writer, std::string_view(text).substr(0, part)));
    box.loop.run((*writer)->abandon(true));
}

[[noreturn]] void die() {
    ::kill(::getpid(), SIGKILL);
    std::abort();
}

/// Runs `life` in a process of its own, which must die() in it: no destructor, no orderly end.
template <typename Life>
void live_and_die(Life life) {
    auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        life();
        ::_exit(2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(WTERMSIG(status) == SIGKILL);
}

std::size_t files_in(const std::filesystem::path& directory) {
    std::size_t count = 0;
    for ([[maybe_unused]] auto& entry : std::filesystem::directory_iterator(directory)) ++count;
    return count;
}

}  // namespace

TEST_CASE("blob writer: pieces of any size make the same file and sums, and what was written can be read before publication") {
    StoreBox box;
    box.open();
    auto text = content(2 * chunk_bytes + 5000);
    for (std::size_t piece : {std::size_t{1777}, std::size_t{65536}, std::size_t{chunk_bytes}}) {
        auto writer = box.begin(digest_of(text), text.size());
        REQUIRE(writer);
        for (std::size_t at = 0; at < text.size(); at += piece) {
            auto bytes = std::string_view(text).substr(at, piece);
            REQUIRE(box.loop.run((*writer)->append(bytes_of(bytes), -1)));
        }
        CHECK((*writer)->written() == text.size());
        std::string seen(5000, '\0');
        CHECK(::pread((*writer)->file(), seen.data(), seen.size(), 100'000) == 5000);
        CHECK(seen == text.substr(100'000, 5000));
        CHECK_FALSE(box.has(digest_of(text)));
        auto file = (*writer)->file();
        auto blob = box.loop.run((*writer)->publish());
        REQUIRE(blob);
        CHECK((*writer)->file() == file);
        CHECK(*box.read(*blob) == text);
    }
    CHECK(files_in(box.path(".entrepot/partial")) == 0);
    CHECK(box.store->counters().blobs == 1);
}

TEST_CASE("blob writer: bytes from a registered buffer") {
    StoreBox box;
    box.open();
    auto text = content(chunk_bytes);
    auto buffer = box.buffers.try_take();
    std::memcpy(buffer.bytes().data(), text.data(), text.size());
    auto writer = box.begin(digest_of(text), text.size());
    REQUIRE(writer);
    REQUIRE(box.loop.run((*writer)->append(buffer.bytes(), buffer.index())));
    REQUIRE(box.loop.run((*writer)->publish()));
    buffer.release();
    writer->reset();
    CHECK(box.holds(text));
}

TEST_CASE("blob writer: what nobody wanted for long is written past memory, and summed when it is read back") {
    ColdBox box;
    box.open();
    auto text = content(8 * chunk_bytes + 4321);
    auto buffer = box.buffers.try_take();
    {
        auto writer = box.begin(digest_of(text), text.size());
        REQUIRE(writer);
        if (!(*writer)->passes_memory_by()) {
            MESSAGE("/var/tmp knows no O_DIRECT: nothing to see here");
            REQUIRE(box.append(**writer, text));
        }
        for (std::size_t offset = 0; (*writer)->passes_memory_by() && offset < text.size(); offset += chunk_bytes) {
            auto piece = std::string_view(text).substr(offset, chunk_bytes);
            std::memcpy(buffer.bytes().data(), piece.data(), piece.size());
            // The last one is of any length: it goes through memory, though nobody asked for that.
            REQUIRE(box.loop.run((*writer)->append(Bytes(buffer.bytes()).first(piece.size()), buffer.index(), WriteVia::disk)));
            CHECK((*writer)->written() == offset + piece.size());
        }
        bool direct = (*writer)->passes_memory_by();
        if (direct) CHECK_FALSE(box.loop->ring().resident((*writer)->file(), 0, 8 * chunk_bytes, false));
        auto blob = box.loop.run((*writer)->publish());
        REQUIRE(blob);
        CHECK((*blob)->verified(0, text.size()) != direct);
        BlobReader reader(**blob);
        CHECK_FALSE((*blob)->suits_direct_read());  // wanted twice by now: it earns the page cache
    }
    CHECK(box.holds(text));
    CHECK(files_in(box.path(".entrepot/partial")) == 0);
    // Wanted again, although its file is gone: through memory.
    box.loop.run(box.store->quarantine(digest_of(text)));
    auto again = box.begin(digest_of(text), text.size());
    REQUIRE(again);
    CHECK_FALSE((*again)->passes_memory_by());
    box.loop.run((*again)->abandon(false));
    // A fetch that came to nothing does not make it less wanted.
    again = box.begin(digest_of(text), text.size());
    REQUIRE(again);
    CHECK_FALSE((*again)->passes_memory_by());
    box.loop.run((*again)->abandon(false));
    // Too small to be worth a second descriptor.
    auto small = box.begin(digest_of("small"), 5);
    REQUIRE(small);
    CHECK_FALSE((*small)->passes_memory_by());
    box.loop.run((*small)->abandon(false));
}

TEST_CASE("blob writer: nothing stays of an abandoned blob") {
    StoreBox box;
    box.open();
    auto text = content(10 * chunk_bytes);
    {
        auto writer = box.begin(digest_of(text), text.size());
        REQUIRE(writer);
        REQUIRE(box.append(**writer, std::string_view(text).substr(0, 5 * chunk_bytes)));
        CHECK(std::filesystem::exists(box.partial_path(digest_of(text))));
        box.loop.run((*writer)->abandon(false));
    }
    CHECK(files_in(box.path(".entrepot/partial")) == 0);
    CHECK(box.store->counters().partial_bytes == 0);
    CHECK(box.store->partial_bytes(digest_of(text)) == 0);
}

TEST_CASE("blob writer: a kept part is resumed, in the same process and after a restart, with and without a length") {
    for (bool restart : {false, true}) {
        for (bool length_known : {true, false}) {
            StoreBox box;
            box.open();
            auto text = content(20 * chunk_bytes + 99);
            auto length = length_known ? std::optional(std::uint64_t{text.size()}) : std::nullopt;
            write_part_and_keep(box, text, 12 * chunk_bytes + 500, length);
            CHECK(box.store->partial_bytes(digest_of(text)) == 11 * chunk_bytes);
            CHECK(box.store->counters().partial_bytes > 0);
            if (restart) box.reopen();
            CHECK(box.store->partial_bytes(digest_of(text)) == 11 * chunk_bytes);
            {
                Resumed resumed(box, text, length);
                CHECK(resumed.writer->written() == (length_known ? 12 : 11) * chunk_bytes);
                CHECK(box.store->partial_bytes(digest_of(text)) == 0);
                REQUIRE(box.append(*resumed.writer, std::string_view(text).substr(resumed.writer->written())));
                auto blob = box.loop.run(resumed.writer->publish());
                REQUIRE(blob);
                CHECK(*box.read(*blob) == text);
            }
            CHECK(box.store->counters().partial_bytes == 0);
            CHECK(files_in(box.path(".entrepot/partial")) == 0);
            box.reopen();
            CHECK(box.holds(text));
        }
    }
}

TEST_CASE("blob writer: the last chunk is always left to fetch, so that no empty range is asked for") {
    StoreBox box;
    box.open();
    auto text = content(8 * chunk_bytes);
    for (bool length_known : {true, false}) {
        auto length = length_known ? std::optional(std::uint64_t{text.size()}) : std::nullopt;
        write_part_and_keep(box, text, text.size(), length);
        Resumed resumed(box, text, length);
        CHECK(resumed.writer->written() == 7 * chunk_bytes);
        box.loop.run(resumed.writer->abandon(false));
    }
}

TEST_CASE("blob writer: damage in a kept part ends the trust before it; damage in its first chunk begins anew") {
    StoreBox box;
    box.open();
    auto text = content(10 * chunk_bytes);
    for (std::size_t bad_chunk : {std::size_t{5}, std::size_t{0}}) {
        write_part_and_keep(box, text, 9 * chunk_bytes, text.size());
        box.close();
        auto damaged = read_text(box.partial_path(digest_of(text)));
        damaged[bad_chunk * chunk_bytes + 1000] ^= 1;
        write_text(box.partial_path(digest_of(text)), damaged);
        box.open();
        Resumed resumed(box, text, text.size());
        CHECK(resumed.writer->written() == bad_chunk * chunk_bytes);
        REQUIRE(box.append(*resumed.writer, std::string_view(text).substr(resumed.writer->written())));
        auto blob = box.loop.run(resumed.writer->publish());
        REQUIRE(blob);
        CHECK(*box.read(*blob) == text);
        blob = Error{};
        resumed.writer.reset();
        REQUIRE(box.loop.run(box.store->remove(digest_of(text))));
    }
}

TEST_CASE("blob writer: without its sums, or longer than the blob now is, a kept part is not trusted") {
    StoreBox box;
    box.open();
    auto text = content(10 * chunk_bytes);
    write_part_and_keep(box, text, 9 * chunk_bytes, text.size());
    std::filesystem::remove(box.partial_path(digest_of(text)).string() + ".sums");
    {
        Resumed resumed(box, text, text.size());
        CHECK(resumed.writer->written() == 0);
        box.loop.run(resumed.writer->abandon(false));
    }
    write_part_and_keep(box, text, 9 * chunk_bytes, text.size());
    Resumed resumed(box, text, 3 * chunk_bytes);
    CHECK(resumed.writer->written() == 0);
    box.loop.run(resumed.writer->abandon(false));
}

TEST_CASE("blob writer: fewer bytes than were promised are never published") {
    StoreBox box;
    box.open();
    auto text = content(100'000);
    auto writer = box.begin(digest_of(text), 200'000);
    REQUIRE(writer);
    REQUIRE(box.append(**writer, text));
    auto published = box.loop.run((*writer)->publish());
    REQUIRE_FALSE(published);
    CHECK(published.error().code == Code::wrong_length);
    writer->reset();
    CHECK_FALSE(box.has(digest_of(text)));
    CHECK(box.put(text));
}

TEST_CASE("blob writer: more bytes than were promised are stored when the digest says so") {
    StoreBox box;
    box.open();
    auto text = content(3 * MiB);
    {
        auto writer = box.begin(digest_of(text), 100);
        REQUIRE(writer);
        REQUIRE(box.append(**writer, text));
        REQUIRE(box.loop.run((*writer)->publish()));
    }
    CHECK(box.holds(text));
    CHECK(box.store->counters().bytes == 3 * MiB);
}

TEST_CASE("blob writer: a process killed in the middle leaves a part to resume, and everything that was published") {
    ScratchDirectory scratch;
    auto directory = scratch.path() + "/store";
    auto whole = content(chunk_bytes * 3, 1), half = content(40 * chunk_bytes, 2);
    live_and_die([&] {
        auto* box = new StoreBox(GiB, directory);
        box->open();
        if (!box->put(whole)) ::_exit(1);
        auto writer = box->begin(digest_of(half), half.size());
        if (!writer || !box->append(**writer, std::string_view(half).substr(0, 30 * chunk_bytes))) ::_exit(1);
        box->loop.run_for(milliseconds(200));  // the write-back behind it saves the sums
        die();
    });
    StoreBox box(GiB, directory);
    box.open();
    CHECK(box.holds(whole));
    CHECK_FALSE(box.has(digest_of(half)));
    // At most one write-back step and what was behind it is lost.
    CHECK(box.store->partial_bytes(digest_of(half)) >= 15 * chunk_bytes);
    Resumed resumed(box, half, half.size());
    CHECK(resumed.writer->written() >= 15 * chunk_bytes);
    REQUIRE(box.append(*resumed.writer, std::string_view(half).substr(resumed.writer->written())));
    auto blob = box.loop.run(resumed.writer->publish());
    REQUIRE(blob);
    CHECK(*box.read(*blob) == half);
}

TEST_CASE(
    "blob writer: a process killed between name and record loses nothing: the stray is adopted and verified before it is served") {
    ScratchDirectory scratch;
    auto directory = scratch.path() + "/store";
    auto text = content(5 * chunk_bytes + 7), forged = content(1000, 9);
    live_and_die([&] {
        auto* box = new StoreBox(GiB, directory);
        box->open();
        // What such a death leaves: the name without its record. The second one lies about its digest.
        write_text(box->blob_path(digest_of(text)), text);
        write_text(box->blob_path(digest_of("something else")), forged);
        write_text(box->path("blobs/sha256/notes.txt"), "somebody else's");
        die();
    });
    StoreBox box(GiB, directory);
    box.open();
    box.until([&] { return box.store->counters().blobs == 2; });
    auto record = box.store->ledger().find_blob_head(digest_of(text));
    REQUIRE(record);
    CHECK(box.holds(text));
    CHECK(box.store->ledger().find_blob(digest_of(text))->verified());
    CHECK_FALSE(box.has(digest_of("something else")));
    CHECK(box.store->counters().quarantined == 1);
    CHECK(std::filesystem::exists(box.path("blobs/sha256/notes.txt")));
}

TEST_CASE("blob writer: killed at random moments, a store starts by itself, holds all it promised, and serves nothing wrong") {
    ScratchDirectory scratch;
    auto directory = scratch.path() + "/store";
    auto text_of_blob = [](std::uint32_t number) { return content(1 + number * 7919 % (3 * chunk_bytes), number); };
    std::uint32_t next = 0;
    std::vector<std::uint32_t> promised;
    for (int life = 0; life < 12; ++life) {
        int pipe[2];
        REQUIRE(::pipe(pipe) == 0);
        auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto* box = new StoreBox(GiB, directory);
            box->open();
            for (auto number = next;; ++number) {
                // A tenth of them is dropped half-way and kept.
                auto text = text_of_blob(number);
                if (number % 10 == 9) write_part_and_keep(*box, text, text.size() / 2, text.size());
                else if (!box->put(text) || ::write(pipe[1], &number, sizeof number) != sizeof number) ::_exit(1);
            }
        }
        ::close(pipe[1]);
        std::uint32_t number = 0;
        auto wanted = 5 + life % 7;
        for (int read = 0; read < wanted && ::read(pipe[0], &number, sizeof number) == sizeof number; ++read) {
            promised.push_back(number);
            ::usleep(static_cast<useconds_t>(life * 977 % 3000));
        }
        ::kill(child, SIGKILL);
        while (::read(pipe[0], &number, sizeof number) == sizeof number) promised.push_back(number);
        ::close(pipe[0]);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        next = promised.back() + 5;
    }
    StoreBox box(GiB, directory);
    box.open();
    for (auto number : promised) CHECK(box.holds(text_of_blob(number)));
    for (std::uint32_t number = 0; number < next; ++number) {
        auto blob = box.get(digest_of(text_of_blob(number)));
        if (blob) CHECK(*box.read(*blob) == text_of_blob(number));
    }
}

TEST_CASE("blob writer: kept parts are bounded in number, the oldest goes first") {
    StoreBox box;
    box.options.partials_max = 3;
    box.open();
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 5; ++i) {
        texts.push_back(content(5 * chunk_bytes, 50 + i));
        write_part_and_keep(box, texts.back(), 4 * chunk_bytes, texts.back().size());
    }
    box.until([&] { return files_in(box.path(".entrepot/partial")) == 6; });
    std::size_t kept = 0;
    for (auto& text : texts) kept += box.store->partial_bytes(digest_of(text)) > 0;
    CHECK(kept == 3);
}

TEST_CASE("blob writer: at a start old parts, orphaned sums and foreign files go, young parts stay") {
    StoreBox box;
    box.open();
    auto young = content(6 * chunk_bytes, 1), old = content(6 * chunk_bytes, 2);
    for (auto& text : {young, old}) write_part_and_keep(box, text, 5 * chunk_bytes, text.size());
    box.close();
    auto partials = box.path(".entrepot/partial");
    for (int i = 0; i < 3000; ++i) write_text(partials / ("sha256-" + digest_of(std::to_string(i)).hex()), "dead");
    write_text(partials / ("sha256-" + digest_of("no file").hex() + ".sums"), "x");
    write_text(partials / "garbage", "x");
    auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(25);
    std::filesystem::last_write_time(box.partial_path(digest_of(old)), long_ago);
    box.open();
    box.until([&] { return files_in(partials) == 2; });
    CHECK(box.store->partial_bytes(digest_of(young)) > 0);
    CHECK(box.store->partial_bytes(digest_of(old)) == 0);
}

TEST_CASE("blob writer: at a start many parts of which each could be resumed make room for the newest, and none is left over") {
    StoreBox box;
    box.open();
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 40; ++i) {
        texts.push_back(content(4 * chunk_bytes, i + 1));
        write_part_and_keep(box, texts.back(), 3 * chunk_bytes, texts.back().size());
    }
    box.close();
    auto now = std::filesystem::file_time_type::clock::now();
    for (std::size_t i = 0; i < texts.size(); ++i)
        std::filesystem::last_write_time(box.partial_path(digest_of(texts[i])), now - std::chrono::minutes(texts.size() - i));
    box.options.partials_max = 5;
    box.open();
    box.until([&] { return files_in(box.path(".entrepot/partial")) == 10; });
    for (std::size_t i = 0; i < texts.size(); ++i) CHECK((box.store->partial_bytes(digest_of(texts[i])) > 0) == (i >= 35));
}

TEST_CASE("blob writer: names that cannot be removed end the look at them") {
    StoreBox box;
    box.open();
    box.close();
    for (int i = 0; i < 1030; ++i) std::filesystem::create_directory(box.path(".entrepot/partial") / std::to_string(i));
    box.open();
    auto text = content(1000);
    CHECK(box.put(text));
    CHECK(box.holds(text));
    box.reopen();
    CHECK(box.holds(text));
}

}  // namespace entrepot
