#include "entrepot/store/ledger.h"

#include "store/ledger_records.h"
#include "store_box.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace entrepot {
namespace {

/// A ledger alone, with what it needs to run.
class LedgerBox {
  public:
    LedgerBox() { open(); }
    void open() {
        ledger.reset();
        auto opened = Ledger::open(options());
        if (!opened) FAIL(opened.error());
        ledger = std::move(*opened);
    }
    Ledger::Options options() const {
        Ledger::Options options;
        options.directory = scratch.path() + "/ledger";
        options.map_bytes = map_bytes;
        return options;
    }
    Result<void> apply(std::vector<LedgerChange> changes) { return loop.run(ledger->apply(std::move(changes))); }
    template <typename Change>
    Result<void> apply_one(Change change) {
        std::vector<LedgerChange> changes;
        changes.push_back(std::move(change));
        return apply(std::move(changes));
    }
    Result<void> tag(const std::string& repository, const std::string& name, const Digest& digest) {
        return apply_one(PutTag{repository, name, {digest, "application/vnd.oci.image.manifest.v1+json", 7, 1234}});
    }

    std::uint64_t map_bytes = 64 * MiB;
    ScratchDirectory scratch;
    TestLoop loop;
    std::vector<std::unique_ptr<TestLoop>> other_loops;
    RunningLanes lanes;  // end before the loops: a lane that posted its answer still has to ring the doorbell
    std::unique_ptr<Ledger> ledger;
};

/// Every write through a descriptor of the ledger's file that was opened with O_DSYNC (the one for the page that makes a commit true), or without it (all others), fails with
/// ENOSPC from here on; the end of the scope takes that back.
class FailingFile {
  public:
    FailingFile(const std::string& directory, bool of_commits) {
        int full = ::open("/dev/full", O_RDWR | O_CLOEXEC);
        REQUIRE(full >= 0);
        for (auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code ignored;
            int file = std::stoi(entry.path().filename());
            if (std::filesystem::read_symlink(entry.path(), ignored) != directory + "/data.mdb") continue;
            bool commits = (::fcntl(file, F_GETFL) & O_DSYNC) != 0;
            if (commits != of_commits) continue;
            swapped_.push_back({file, ::dup(file)});
            ::dup2(full, file);
        }
        ::close(full);
        REQUIRE_FALSE(swapped_.empty());
    }
    ~FailingFile() {
        for (auto& [file, saved] : swapped_) {
            ::dup2(saved, file);
            ::close(saved);
        }
    }

  private:
    std::vector<std::pair<int, int>> swapped_;
};

BlobRecord record_of(std::uint64_t size, std::int64_t created = 0) {
    BlobRecord record;
    record.size = size;
    record.created = created;
    for (std::uint64_t i = 0; i < chunk_count(size); ++i) record.sums.push_back(i * 7 + size);
    return record;
}

Task<void> apply_in_group(Ledger& ledger, int number, int& done) {
    std::vector<LedgerChange> changes;
    changes.push_back(PutBlob{digest_of(std::to_string(number)), record_of(static_cast<std::uint64_t>(number))});
    auto applied = co_await ledger.apply(std::move(changes));
    if (applied) ++done;
}

}  // namespace

TEST_CASE("ledger: a blob's record comes back with its sums, also from the next process, for both algorithms") {
    LedgerBox box;
    auto short_digest = digest_of("a");
    auto long_digest = Digest::of(bytes_of("a"), DigestAlgorithm::sha512);
    auto record = record_of(5 * chunk_bytes + 1, 42);
    record.volume = 3;
    record.flags = 1;
    for (auto& digest : {short_digest, long_digest}) REQUIRE(box.apply_one(PutBlob{digest, record}));
    box.open();
    for (auto& digest : {short_digest, long_digest}) {
        auto found = box.ledger->find_blob(digest);
        REQUIRE(found);
        CHECK(found->size == record.size);
        CHECK(found->volume == 3);
        CHECK(found->flags == 1);
        CHECK(found->created == 42);
        CHECK(found->sums == record.sums);
        CHECK(found->verified());
        CHECK(box.ledger->find_blob_head(digest)->sums.empty());
    }
    CHECK_FALSE(box.ledger->find_blob(digest_of("b")));
    CHECK(box.ledger->blob_count() == 2);
}

TEST_CASE("ledger: removing a blob removes its manifest record and its grants, and nobody else's") {
    LedgerBox box;
    auto digest = digest_of("manifest"), other = digest_of("other");
    ManifestRecord manifest{"application/vnd.oci.image.index.v1+json",
                            {digest_of("x"), Digest::of(bytes_of("y"), DigestAlgorithm::sha512)}};
    for (auto& each : {digest, other}) {
        REQUIRE(box.apply({PutBlob{each, record_of(10)}, PutManifest{each, manifest}, PutGrant{"", "docker.io/a", each},
                           PutGrant{"hub", "docker.io/b", each}}));
    }
    auto found = box.ledger->find_manifest(digest);
    REQUIRE(found);
    CHECK(found->media_type == manifest.media_type);
    CHECK(found->references == manifest.references);
    CHECK(box.ledger->granted("", "docker.io/a", digest));
    CHECK_FALSE(box.ledger->granted("hub", "docker.io/a", digest));
    CHECK_FALSE(box.ledger->granted("", "docker.io/b", digest));
    REQUIRE(box.apply_one(RemoveBlob{digest}));
    CHECK_FALSE(box.ledger->find_blob(digest));
    CHECK_FALSE(box.ledger->find_manifest(digest));
    CHECK_FALSE(box.ledger->granted("", "docker.io/a", digest));
    CHECK_FALSE(box.ledger->granted("hub", "docker.io/b", digest));
    CHECK(box.ledger->find_manifest(other));
    CHECK(box.ledger->granted("hub", "docker.io/b", other));
}

TEST_CASE("ledger: what was granted with a manifest and never stored goes with it, for those who had it by that manifest") {
    LedgerBox box;
    auto manifest = digest_of("manifest"), stored = digest_of("stored"), absent = digest_of("absent");
    ManifestRecord record{"application/vnd.oci.image.index.v1+json", {stored, absent}};
    REQUIRE(box.apply({PutBlob{manifest, record_of(10)}, PutManifest{manifest, record}, PutBlob{stored, record_of(10)}}));
    for (auto& digest : {manifest, stored, absent}) REQUIRE(box.apply_one(PutGrant{"", "docker.io/a", digest}));
    REQUIRE(box.apply_one(PutGrant{"", "docker.io/b", absent}));
    REQUIRE(box.apply_one(RemoveBlob{manifest}));
    CHECK(box.ledger->granted("", "docker.io/a", stored));
    CHECK_FALSE(box.ledger->granted("", "docker.io/a", absent));
    CHECK(box.ledger->granted("", "docker.io/b", absent));
}

TEST_CASE("ledger: a grant tells a length when a manifest told it") {
    LedgerBox box;
    auto digest = digest_of("x");
    REQUIRE(box.apply_one(PutGrant{"", "docker.io/a", digest, 1'000'000}));
    CHECK(box.ledger->told_bytes("", "docker.io/a", digest) == 1'000'000);
    CHECK_FALSE(box.ledger->told_bytes("", "docker.io/b", digest));
    CHECK_FALSE(box.ledger->told_bytes("hub", "docker.io/a", digest));
    REQUIRE(box.apply_one(PutGrant{"", "docker.io/a", digest}));
    CHECK(box.ledger->granted("", "docker.io/a", digest));
    CHECK_FALSE(box.ledger->told_bytes("", "docker.io/a", digest));
    CHECK(parse_told_bytes(grant_value(5, 0).substr(0, 16)) == 0);  // as earlier versions wrote it
}

TEST_CASE("ledger: scope and repository of a grant cannot be confused with each other") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutGrant{"ab", "c", digest_of("x")}));
    CHECK(box.ledger->granted("ab", "c", digest_of("x")));
    CHECK_FALSE(box.ledger->granted("a", "bc", digest_of("x")));
    CHECK_FALSE(box.ledger->granted("", "abc", digest_of("x")));
}

TEST_CASE("ledger: tags are listed in order, after a name, up to a count, and stay within their repository") {
    LedgerBox box;
    for (auto* name : {"10", "2", "latest", "1"}) REQUIRE(box.tag("docker.io/library/a", name, digest_of(name)));
    REQUIRE(box.tag("docker.io/library/a-b", "other", digest_of("o")));
    REQUIRE(box.tag("docker.io/library", "short", digest_of("s")));
    using Names = std::vector<std::string>;
    CHECK(box.ledger->list_tags("docker.io/library/a", "", 10) == Names{"1", "10", "2", "latest"});
    CHECK(box.ledger->list_tags("docker.io/library/a", "10", 1) == Names{"2"});
    CHECK(box.ledger->list_tags("docker.io/library/a", "1a", 10) == Names{"2", "latest"});
    CHECK(box.ledger->list_tags("docker.io/library/a", "latest", 10).empty());
    CHECK(box.ledger->list_tags("docker.io/library/a", std::string(2000, 'z'), 10).empty());
    CHECK(box.ledger->list_tags("nobody", "", 10).empty());
    CHECK(box.ledger->list_repositories("", 10) == Names{"docker.io/library", "docker.io/library/a", "docker.io/library/a-b"});
    CHECK(box.ledger->list_repositories("docker.io/library/a", 10) == Names{"docker.io/library/a-b"});
    CHECK(box.ledger->list_repositories("docker.io/library/a!", 10) == Names{"docker.io/library/a-b"});
    CHECK(box.ledger->list_repositories("", 1) == Names{"docker.io/library"});
    CHECK(box.ledger->list_repositories(std::string(600, 'z'), 10).empty());
    REQUIRE(box.apply_one(RemoveTag{"docker.io/library/a", "10"}));
    CHECK(box.ledger->list_tags("docker.io/library/a", "", 10) == Names{"1", "2", "latest"});
}

TEST_CASE("ledger: a tag that moves counts as a change of tags, one that is only checked again does not") {
    LedgerBox box;
    REQUIRE(box.tag("r", "t", digest_of("1")));
    auto version = box.ledger->tags_version();
    REQUIRE(box.tag("r", "t", digest_of("1")));
    CHECK(box.ledger->tags_version() == version);
    REQUIRE(box.tag("r", "t", digest_of("2")));
    CHECK(box.ledger->tags_version() == version + 1);
    CHECK(box.ledger->find_tag("r", "t")->digest == digest_of("2"));
    CHECK(box.ledger->find_tag("r", "t")->checked == 1234);
}

TEST_CASE("ledger: names beyond what a key can hold are refused, and the whole list with them") {
    LedgerBox box;
    std::string longest(tag_key_bytes_max - 3, 'r');
    CHECK(box.tag(longest, "123", digest_of("x")));
    CHECK(box.ledger->find_tag(longest, "123"));
    auto refused = box.apply({PutBlob{digest_of("with"), record_of(1)}, PutTag{longest, "1234", {digest_of("x"), "t", 1, 1}}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == Error{Fault::policy, Code::too_large});
    CHECK_FALSE(box.ledger->find_blob(digest_of("with")));
    CHECK_FALSE(box.ledger->find_tag(longest, "1234"));
    CHECK(box.apply_one(RemoveTag{longest, "1234"}));
    CHECK_FALSE(box.apply_one(PutManifest{digest_of("m"), {std::string(media_type_bytes_max + 1, 'm'), {}}}));
}

TEST_CASE("ledger: blobs come oldest first, each once, whatever the order of their digests") {
    LedgerBox box;
    std::vector<LedgerChange> changes;
    for (int i = 0; i < 3000; ++i)
        changes.push_back(PutBlob{digest_of(std::to_string(i)), record_of(static_cast<std::uint64_t>(i), i * 977 % 3000)});
    REQUIRE(box.apply(std::move(changes)));
    std::vector<std::int64_t> ages;
    auto visit = [&](const Digest&, std::uint64_t size, std::uint8_t, std::uint8_t) {
        ages.push_back(static_cast<std::int64_t>(size) * 977 % 3000);
    };
    box.ledger->each_blob(visit);
    CHECK(ages.size() == 3000);
    CHECK(std::is_sorted(ages.begin(), ages.end()));
}

TEST_CASE("ledger: blobs of negative, equal and far apart ages are all visited") {
    LedgerBox box;
    std::int64_t created[] = {INT64_MIN, -5, 0, 0, 0, 1'700'000'000, INT64_MAX};
    std::uint64_t size = 0;
    for (auto each : created) REQUIRE(box.apply_one(PutBlob{digest_of(std::to_string(++size)), record_of(size, each)}));
    std::vector<std::uint64_t> sizes;
    auto visit = [&](const Digest&, std::uint64_t found, std::uint8_t, std::uint8_t) { sizes.push_back(found); };
    box.ledger->each_blob(visit);
    CHECK(sizes.size() == std::size(created));
    CHECK(sizes.front() == 1);
    CHECK(sizes.back() == std::size(created));
}

TEST_CASE("ledger: lists that wait together share a commit, and each is answered") {
    LedgerBox box;
    int done = 0;
    constexpr int count = 500;
    auto before = box.ledger->commits();
    TaskGroup group;
    for (int i = 0; i < count; ++i) group.start(apply_in_group(*box.ledger, i, done));
    box.loop.finish(group);
    auto after = box.ledger->commits();
    CHECK(done == count);
    CHECK(after.lists - before.lists == count);
    CHECK(after.transactions - before.transactions < 20);  // the leader's alone, then all that came meanwhile
    for (int i = 0; i < count; ++i) CHECK(box.ledger->find_blob(digest_of(std::to_string(i))));
}

TEST_CASE("ledger: loops on several threads commit together and read while others write") {
    LedgerBox box;
    constexpr std::size_t threads = 3;
    constexpr int lists = 60;
    std::atomic<int> finished{0}, done{0};
    std::vector<std::thread> workers;
    box.other_loops.resize(threads);
    for (std::size_t t = 0; t < threads; ++t) {
        workers.emplace_back([&, t] {
            box.other_loops[t] = std::make_unique<TestLoop>();
            auto& loop = *box.other_loops[t];
            int mine = 0;
            for (int i = 0; i < lists; i += 10) {
                TaskGroup group;
                for (int k = 0; k < 10; ++k) group.start(apply_in_group(*box.ledger, static_cast<int>(t) * 1000 + i + k, mine));
                while (group.running() > 0) {
                    loop->turn(now() + milliseconds(1));
                    auto seen = box.ledger->find_blob(digest_of(std::to_string(t * 1000)));
                    if (seen && seen->size != t * 1000) mine = -1'000'000;
                }
            }
            done += mine;
            ++finished;
        });
    }
    for (auto& worker : workers) worker.join();
    CHECK(done == threads * lists);
    CHECK(box.ledger->blob_count() == threads * lists);
}

TEST_CASE("ledger: a full map is no_space, nothing of the list is true, and smaller changes go on") {
    LedgerBox box;
    box.map_bytes = MiB;
    box.open();
    std::vector<LedgerChange> changes;
    for (int i = 0; i < 100; ++i) changes.push_back(PutBlob{digest_of(std::to_string(i)), record_of(2000 * chunk_bytes)});
    auto refused = box.apply(std::move(changes));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().fault == Fault::storage);
    CHECK(refused.error().code == Code::no_space);
    CHECK(box.ledger->blob_count() == 0);
    CHECK(box.apply_one(PutBlob{digest_of("small"), record_of(10)}));
    CHECK(box.ledger->find_blob(digest_of("small")));
}

TEST_CASE("ledger: a full disk refuses, harms nothing, and is tried again; what it was lately can be seen") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutBlob{digest_of("before"), record_of(10)}));
    {
        FailingFile failing(box.options().directory, false);
        auto refused = box.apply_one(PutBlob{digest_of("during"), record_of(10)});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::no_space);
        CHECK(box.ledger->health().state() == DiskHealth::State::full);
        CHECK(box.ledger->find_blob(digest_of("before")));
        CHECK_FALSE(box.ledger->find_blob(digest_of("during")));
    }
    REQUIRE(box.apply_one(PutBlob{digest_of("after"), record_of(10)}));
    CHECK(box.ledger->health().healthy());
    box.open();
    CHECK(box.ledger->find_blob(digest_of("before")));
    CHECK_FALSE(box.ledger->find_blob(digest_of("during")));
    CHECK(box.ledger->find_blob(digest_of("after")));
}

TEST_CASE(
    "ledger: when the page that makes a commit true cannot be written it takes no more changes, and what was true is read on, by every thread") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutBlob{digest_of("before"), record_of(10)}));
    REQUIRE(box.tag("a/b", "1", digest_of("before")));
    {
        FailingFile failing(box.options().directory, true);
        CHECK_FALSE(box.apply_one(PutBlob{digest_of("during"), record_of(10)}));
    }
    CHECK(box.ledger->health().state() == DiskHealth::State::closed);
    CHECK_FALSE(box.apply_one(PutBlob{digest_of("after"), record_of(10)}));
    auto read = [&box](int& right) {
        for (int i = 0; i < 100; ++i) {
            right += box.ledger->find_blob(digest_of("before")).has_value();
            right += !box.ledger->find_blob(digest_of("during")).has_value();
            right += box.ledger->list_tags("a/b", "", 10).size() == 1;
        }
    };
    int right[3] = {};
    std::thread others[2] = {std::thread(read, std::ref(right[0])), std::thread(read, std::ref(right[1]))};
    read(right[2]);
    for (auto& other : others) other.join();
    for (int count : right) CHECK(count == 300);
    box.open();
    CHECK(box.ledger->health().healthy());
    CHECK(box.ledger->find_blob(digest_of("before")));
    REQUIRE(box.apply_one(PutBlob{digest_of("after"), record_of(10)}));
}

TEST_CASE("ledger: an orderly end is known to the next start, and only to that one") {
    LedgerBox box;
    CHECK_FALSE(box.ledger->ended_in_order());
    box.open();
    CHECK_FALSE(box.ledger->ended_in_order());
    box.ledger->mark_end_in_order();
    box.open();
    CHECK(box.ledger->ended_in_order());
    box.open();
    CHECK_FALSE(box.ledger->ended_in_order());
}

TEST_CASE("ledger: a new one wants a rebuild until it was told that it ended") {
    LedgerBox box;
    CHECK(box.ledger->wants_rebuild());
    box.open();
    CHECK(box.ledger->wants_rebuild());
    REQUIRE(box.apply_one(EndRebuild{}));
    CHECK_FALSE(box.ledger->wants_rebuild());
    box.open();
    CHECK_FALSE(box.ledger->wants_rebuild());
}

TEST_CASE("ledger: volumes are remembered by number") {
    LedgerBox box;
    CHECK(box.ledger->volumes().empty());
    REQUIRE(box.apply({PutVolume{{0, 111, "/a", true}}, PutVolume{{200, 222, "/b", true}}, PutVolume{{0, 111, "/c", false}}}));
    box.open();
    auto volumes = box.ledger->volumes();
    REQUIRE(volumes.size() == 2);
    CHECK(volumes[0].path == "/c");
    CHECK_FALSE(volumes[0].present);
    CHECK(volumes[1].index == 200);
    CHECK(volumes[1].id == 222);
}

TEST_CASE("ledger: the place of the scrub comes back, and blobs are walked in the order of their keys from any place") {
    LedgerBox box;
    CHECK_FALSE(box.ledger->scrub().at);
    CHECK_FALSE(box.ledger->next_blob(std::nullopt));
    std::vector<Digest> walked;
    for (auto text : {"a", "b", "c", "d"}) REQUIRE(box.apply_one(PutBlob{digest_of(text), record_of(10)}));
    auto longer = Digest::of(bytes_of("a"), DigestAlgorithm::sha512);
    REQUIRE(box.apply_one(PutBlob{longer, record_of(10)}));
    for (auto next = box.ledger->next_blob(std::nullopt); next; next = box.ledger->next_blob(next)) walked.push_back(*next);
    REQUIRE(walked.size() == 5);
    for (std::size_t i = 1; i < 4; ++i) CHECK(walked[i - 1].hex() < walked[i].hex());
    CHECK(walked.back() == longer);
    REQUIRE(box.apply_one(RemoveBlob{walked[1]}));
    CHECK(box.ledger->next_blob(walked[0]) == walked[2]);
    CHECK(box.ledger->next_blob(walked[1]) == walked[2]);  // from one that left
    ScrubRecord record;
    record.at = longer;
    record.next_chunk = 7;
    record.pass_started = 11;
    record.pass_ended = 5;
    REQUIRE(box.apply_one(PutScrub{record}));
    auto back = box.ledger->scrub();
    CHECK(back.at == longer);
    CHECK(back.next_chunk == 7);
    CHECK(back.pass_started == 11);
    CHECK(back.pass_ended == 5);
}

TEST_CASE("ledger: sums are put to a blob that is there, and bring no other one") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutBlob{digest_of("x"), record_of(2 * chunk_bytes)}));
    REQUIRE(box.apply_one(PutSums{digest_of("x"), {5, 6}}));
    REQUIRE(box.apply_one(PutSums{digest_of("y"), {5, 6}}));
    CHECK(box.ledger->find_blob(digest_of("x"))->sums == std::vector<std::uint64_t>{5, 6});
    CHECK_FALSE(box.ledger->find_blob(digest_of("y")));
    REQUIRE(box.apply_one(PutSums{digest_of("x"), {}}));
    CHECK_FALSE(box.ledger->find_blob(digest_of("x"))->verified());
}

TEST_CASE("ledger: settings come back in order from the next process, and a list with one that is too large is refused whole") {
    LedgerBox box;
    std::vector<LedgerChange> changes;
    changes.push_back(PutSetting{"rule/zebra", R"({"a":1})"});
    changes.push_back(PutSetting{"rule/ape", std::string(setting_text_bytes_max, 'x')});
    changes.push_back(PutSetting{"account/bob", ""});
    REQUIRE(box.apply(std::move(changes)));
    REQUIRE(box.apply_one(PutSetting{"rule/zebra", R"({"a":2})"}));
    REQUIRE(box.apply_one(RemoveSetting{"rule/ape"}));
    REQUIRE(box.apply_one(RemoveSetting{"rule/never-was"}));
    std::vector<LedgerChange> refused;
    refused.push_back(PutSetting{"rule/small", "x"});
    refused.push_back(PutSetting{"rule/large", std::string(setting_text_bytes_max + 1, 'x')});
    CHECK(box.apply(std::move(refused)).error().code == Code::too_large);
    CHECK(box.apply_one(PutSetting{std::string(setting_key_bytes_max + 1, 'k'), ""}).error().code == Code::too_large);
    box.open();
    std::vector<std::pair<std::string, std::string>> found;
    box.ledger->each_setting([&](std::string_view key, std::string_view text) { found.emplace_back(key, text); });
    CHECK(found == std::vector<std::pair<std::string, std::string>>{{"account/bob", ""}, {"rule/zebra", R"({"a":2})"}});
}

TEST_CASE("ledger: a file of a newer format is refused by name and number, and left as it is") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutGrant{"", "docker.io/a", digest_of("x")}));
    box.ledger.reset();
    auto path = std::filesystem::path(box.options().directory) / "data.mdb";
    auto file = read_text(path);
    std::string_view ours("format\1\0\0\0", 10), newer("format\2\0\0\0", 10);
    std::size_t found = 0;
    for (auto at = file.find(ours); at != file.npos; at = file.find(ours, at + 1), ++found) file.replace(at, newer.size(), newer);
    REQUIRE(found > 0);
    write_text(path, file);
    auto opened = Ledger::open(box.options());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().find("format 2") != std::string::npos);
    CHECK(read_text(path) == file);
}

TEST_CASE("ledger: a damaged file is refused with the way out, and never touched") {
    LedgerBox box;
    REQUIRE(box.apply_one(PutBlob{digest_of("x"), record_of(100 * chunk_bytes)}));
    box.ledger.reset();
    auto file = std::filesystem::path(box.options().directory) / "data.mdb";
    auto whole = read_text(file);
    for (auto size : {std::size_t{100}, std::size_t{8192}, whole.size() - 4096}) {
        write_text(file, whole.substr(0, size));
        auto cut = Ledger::open(box.options());
        REQUIRE_FALSE(cut);
        CHECK(cut.error().find("remove this directory") != std::string::npos);
        CHECK(std::filesystem::file_size(file) == size);
    }
    write_text(file, std::string(whole.size(), 'x'));
    auto scribbled = Ledger::open(box.options());
    REQUIRE_FALSE(scribbled);
    CHECK(scribbled.error().find("remove this directory") != std::string::npos);
    write_text(file, whole);
    CHECK(Ledger::open(box.options()));
}

TEST_CASE("ledger: grants are listed by holder, page by page, and each digest says whether others have it") {
    LedgerBox box;
    std::vector<LedgerChange> changes;
    for (int i = 0; i < 300; ++i) {
        auto digest = digest_of(std::to_string(i));
        changes.push_back(PutGrant{"", "r/one", digest});
        if (i % 2 == 0) changes.push_back(PutGrant{"corp", "r/one", digest});
        if (i % 3 == 0) changes.push_back(PutGrant{"", "r/two", digest});
    }
    changes.push_back(PutGrant{"", "r/three", digest_of("alone")});
    REQUIRE(box.apply(std::move(changes)));
    HolderSet wanted;
    wanted.add({"", "r/one"});
    wanted.add({"", "r/two"});
    wanted.add({"", "r/one"});  // once
    REQUIRE(wanted.all().size() == 2);
    for (std::size_t looks : {std::size_t{1}, std::size_t{7}, std::size_t{100'000}}) {
        CAPTURE(looks);
        std::size_t digests = 0, others = 0, both = 0, pages = 0;
        std::string from;
        do {
            auto page = box.ledger->list_grants(wanted, from, looks);
            for (auto& one : page.digests) {
                ++digests;
                others += one.granted_to_others;
                both += one.holders.size() == 2;
            }
            ++pages;
            from = page.next;
        } while (!from.empty());
        CHECK(digests == 300);
        CHECK(others == 150);
        CHECK(both == 100);
        CHECK((pages == 1) == (looks == 100'000));
    }
    auto six = box.ledger->grants_of(wanted, digest_of("6"));
    CHECK(six.holders.size() == 2);
    CHECK(six.granted_to_others);
    REQUIRE(box.apply_one(RemoveGrant{"corp", "r/one", digest_of("6")}));
    CHECK_FALSE(box.ledger->grants_of(wanted, digest_of("6")).granted_to_others);
    CHECK(box.ledger->granted("", "r/one", digest_of("6")));
    CHECK(box.ledger->granted_to_anybody(digest_of("alone")));
    REQUIRE(box.apply_one(RemoveGrant{"", "r/three", digest_of("alone")}));
    CHECK_FALSE(box.ledger->granted_to_anybody(digest_of("alone")));
    auto holders = box.ledger->list_holders("r/o");
    CHECK(holders.size() == 2);
    CHECK(box.ledger->list_holders("").size() == 4);
    box.open();
    CHECK(box.ledger->list_holders("r/t").size() == 2);
}

TEST_CASE("ledger: a platform that was told stays with the grant until another is told") {
    LedgerBox box;
    auto digest = digest_of("x");
    auto told = [&] { return box.ledger->told_platform("", "r/one", digest); };
    CHECK(told().empty());
    REQUIRE(box.apply_one(PutGrant{"", "r/one", digest, 7}));
    CHECK(told().empty());
    REQUIRE(box.apply_one(PutGrant{"", "r/one", digest, 7, "linux/amd64"}));
    CHECK(told() == "linux/amd64");
    REQUIRE(box.apply_one(PutGrant{"", "r/one", digest}));
    CHECK(told() == "linux/amd64");
    CHECK_FALSE(box.ledger->told_bytes("", "r/one", digest));
    REQUIRE(box.apply_one(PutGrant{"", "r/one", digest, 9, "-"}));
    CHECK(told() == "-");
    CHECK(box.ledger->told_bytes("", "r/one", digest) == 9);
    CHECK(box.ledger->told_platform("corp", "r/one", digest).empty());
    auto refused = box.apply_one(PutGrant{"", "r/one", digest, 9, std::string(told_platform_bytes_max + 1, 'x')});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::too_large);
}

TEST_CASE("ledger: tags come with what they point to") {
    LedgerBox box;
    for (auto name : {"a", "b", "c"}) REQUIRE(box.tag("r/one", name, digest_of(name)));
    REQUIRE(box.tag("r/onemore", "z", digest_of("z")));
    auto tags = box.ledger->list_tag_records("r/one", "a", 10);
    REQUIRE(tags.size() == 2);
    CHECK(tags[0].first == "b");
    CHECK(tags[1].second.digest == digest_of("c"));
    CHECK(box.ledger->list_tag_records("r/one", "", 1).size() == 1);
}

}  // namespace entrepot
