#include "store/volume.h"

#include "store/index_json.h"
#include "store_box.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <map>

namespace entrepot {
namespace {

const std::string manifest_type = "application/vnd.oci.image.manifest.v1+json";

void put_tagged(StoreBox& box, const std::string& repository, const std::string& tag, const std::string& manifest) {
    REQUIRE(box.put(manifest));
    REQUIRE(box.apply(PutManifest{digest_of(manifest), {manifest_type, {}}}));
    REQUIRE(box.apply(PutTag{repository, tag, {digest_of(manifest), manifest_type, manifest.size(), 1234}}));
}

bool has_program(const char* name) { return std::system((std::string("command -v ") + name + " > /dev/null 2>&1").c_str()) == 0; }

}  // namespace

TEST_CASE("volume: a store is a valid OCI image layout from its first moment") {
    StoreBox box;
    box.open();
    CHECK(nlohmann::json::parse(read_text(box.path("oci-layout"))) == nlohmann::json{{"imageLayoutVersion", "1.0.0"}});
    auto index = nlohmann::json::parse(read_text(box.path("index.json")));
    CHECK(index["schemaVersion"] == 2);
    CHECK(index["mediaType"] == "application/vnd.oci.image.index.v1+json");
    CHECK(index["manifests"].is_array());
    CHECK(index["manifests"].empty());
    CHECK(std::filesystem::is_directory(box.path("blobs/sha256")));
    CHECK(std::filesystem::is_directory(box.path("blobs/sha512")));
}

TEST_CASE("volume: index.json carries the tags whose manifests are stored") {
    StoreBox box;
    box.open();
    put_tagged(box, "docker.io/library/alpine", "3.20", "{\"one\":1}");
    REQUIRE(box.apply(PutTag{"docker.io/library/alpine", "only-the-tag", {digest_of("absent"), manifest_type, 5, 1}}));
    // A stop before the first sweep has ended leaves index.json to the next start.
    box.until([&] { return !box.store->ledger().wants_rebuild(); });
    box.close();
    auto index = nlohmann::json::parse(read_text(box.path("index.json")));
    REQUIRE(index["manifests"].size() == 1);
    auto& entry = index["manifests"][0];
    CHECK(entry["mediaType"] == manifest_type);
    CHECK(entry["digest"] == digest_of("{\"one\":1}").text());
    CHECK(entry["size"] == 9);
    CHECK(entry["annotations"]["org.opencontainers.image.ref.name"] == "docker.io/library/alpine:3.20");
    auto back = parse_index(read_text(box.path("index.json")));
    REQUIRE(back.size() == 1);
    CHECK(back[0].repository == "docker.io/library/alpine");
    CHECK(back[0].tag == "3.20");
    CHECK(back[0].record.digest == digest_of("{\"one\":1}"));
}

TEST_CASE("volume: entries of an index.json that are not ours are left out, and no text is too strange") {
    auto entry = [](std::string reference, std::string digest, std::string rest = "") {
        return R"({"mediaType":"m","size":3,"digest":")" + digest + R"(","annotations":{"org.opencontainers.image.ref.name":")" +
               reference + "\"}" + rest + "}";
    };
    auto good = digest_of("x").text();
    auto text = R"({"manifests":[)" + entry("docker.io/a/b:1", good) + "," + entry("latest", good) + "," +
                entry("docker.io/a/b:", good) + "," + entry("docker.io/A/b:1", good) + "," +
                entry("docker.io/a/b:1", "sha256:12") + "," + entry("127.0.0.1:5000/a:v1", good, R"(,"platform":{})") +
                R"(,7,{"size":-1},null]})";
    auto tags = parse_index(text);
    REQUIRE(tags.size() == 2);
    CHECK(tags[0].repository == "docker.io/a/b");
    CHECK(tags[1].repository == "127.0.0.1:5000/a");
    CHECK(tags[1].tag == "v1");
    for (auto* strange : {"", "[]", "{", "null", "{\"manifests\":3}", "\xff\xfe"}) CHECK(parse_index(strange).empty());
}

TEST_CASE("volume: skopeo reads an image out of a running store's directory") {
    if (!has_program("skopeo")) {
        MESSAGE("skopeo is not installed");
        return;
    }
    StoreBox box;
    box.open();
    std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
    std::string manifest = R"({"schemaVersion":2,"mediaType":")" + manifest_type +
                           R"(","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
                           digest_of(config).text() + R"(","size":)" + std::to_string(config.size()) + R"(},"layers":[]})";
    REQUIRE(box.put(config));
    put_tagged(box, "docker.io/library/tiny", "1", manifest);
    box.close_in_order();
    auto answer = box.scratch.path() + "/answer";
    auto command = "skopeo inspect --raw oci:" + box.options.directory + ":docker.io/library/tiny:1 > " + answer + " 2>&1";
    CHECK_MESSAGE(std::system(command.c_str()) == 0, read_text(answer));
    CHECK(read_text(answer) == manifest);
}

TEST_CASE("volume: a lost ledger is rebuilt from blobs and index.json") {
    StoreBox box;
    box.open();
    auto layer = content(3 * chunk_bytes + 1, 1), tampered = content(5000, 2);
    REQUIRE(box.put(layer));
    REQUIRE(box.put(tampered));
    put_tagged(box, "docker.io/library/alpine", "3.20", "{\"one\":1}");
    box.close_in_order();  // else index.json is left to the next start
    std::filesystem::remove_all(box.path("ledger"));
    write_text(box.blob_path(digest_of(tampered)), content(5000, 3));
    box.open();
    auto tag = box.store->ledger().find_tag("docker.io/library/alpine", "3.20");
    REQUIRE(tag);
    CHECK(tag->digest == digest_of("{\"one\":1}"));
    CHECK(tag->checked == 0);
    box.until([&] { return !box.store->ledger().wants_rebuild(); });
    CHECK(box.store->counters().blobs == 3);
    CHECK(box.holds(layer));
    CHECK_FALSE(box.has(digest_of(tampered)));
    box.reopen();
    CHECK(box.holds(layer));
    CHECK(parse_index(read_text(box.path("index.json"))).size() == 1);
}

TEST_CASE("volume: several share the blobs evenly, and each finds its own after a restart under other paths") {
    StoreBox box;
    auto volume = [&](const char* name) { return box.scratch.path() + "/" + name; };
    box.options.volumes = {volume("a"), volume("b"), volume("c")};
    box.open();
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 60; ++i) {
        texts.push_back(content(2000, i + 1));
        REQUIRE(box.put(texts.back()));
    }
    std::map<std::string, int> share;
    for (auto* name : {"a", "b", "c"}) {
        for ([[maybe_unused]] auto& entry : std::filesystem::directory_iterator(volume(name) + "/blobs/sha256")) ++share[name];
        CHECK(share[name] >= 8);
    }
    CHECK(share["a"] + share["b"] + share["c"] == 60);
    box.close();
    std::filesystem::rename(volume("a"), volume("moved"));
    box.options.volumes = {volume("c"), volume("moved"), volume("b")};
    box.open();
    for (auto& text : texts) CHECK(box.holds(text));
}

TEST_CASE("volume: a lost one takes only its share, an empty mount point is not filled, and it comes back without copies") {
    StoreBox box;
    auto volume = [&](const char* name) { return box.scratch.path() + "/" + name; };
    box.options.volumes = {volume("a"), volume("b")};
    box.open();
    std::vector<std::string> texts;
    for (std::uint64_t i = 0; i < 40; ++i) {
        texts.push_back(content(2000, i + 1));
        REQUIRE(box.put(texts.back()));
    }
    box.close();
    std::filesystem::rename(volume("b"), volume("unplugged"));
    for (bool mount_point : {false, true}) {
        if (mount_point) std::filesystem::create_directory(volume("b"));
        box.open();
        std::size_t present = 0;
        for (auto& text : texts) present += box.holds(text);
        CHECK(present > 8);
        CHECK(present < 32);
        CHECK(present == box.store->counters().blobs);
        if (mount_point) CHECK(std::filesystem::is_empty(volume("b")));
        box.close();
    }
    // What was lost is fetched again, onto the disk that is left.
    box.open();
    for (auto& text : texts) {
        if (!box.has(digest_of(text))) REQUIRE(box.put(text));
    }
    box.close();
    std::filesystem::remove(volume("b"));
    std::filesystem::rename(volume("unplugged"), volume("b"));
    box.open();
    auto files = [&] {
        std::size_t count = 0;
        for (auto* name : {"a", "b"}) {
            for ([[maybe_unused]] auto& entry : std::filesystem::directory_iterator(volume(name) + "/blobs/sha256")) ++count;
        }
        return count;
    };
    box.until([&] { return files() == texts.size(); });
    for (auto& text : texts) CHECK(box.holds(text));
}

TEST_CASE("volume: a copy of a volume, a newer format and a damaged identity are each refused while the others go on") {
    StoreBox box;
    auto volume = [&](const char* name) { return box.scratch.path() + "/" + name; };
    box.options.volumes = {volume("a"), volume("b")};
    box.open();
    box.close();
    auto identity = read_text(volume("a") + "/.entrepot/volume");
    CHECK(identity.starts_with("entrepot volume 1 "));
    for (auto& bad : {identity, std::string("entrepot volume 2 00000000000000ff and more\n"), std::string("rubbish")}) {
        write_text(volume("b") + "/.entrepot/volume", bad);
        box.open();
        CHECK(box.put(content(100, bad.size())));
        CHECK(std::filesystem::is_empty(volume("b") + "/blobs/sha256"));
        CHECK(read_text(volume("b") + "/.entrepot/volume") == bad);
        box.close();
    }
}

TEST_CASE("volume: placement follows size, and losing a volume moves only its own share") {
    std::vector<std::unique_ptr<DiskHealth>> health;
    std::vector<std::unique_ptr<Volume>> volumes;
    struct Weighted {
        std::uint64_t bytes;
        int count = 0;
    };
    Weighted expected[] = {{100 * GiB}, {100 * GiB}, {200 * GiB}};
    ScratchDirectory scratch;
    TestLoop loop;
    for (std::uint64_t i = 0; i < std::size(expected); ++i) {
        auto root = open_directory(scratch.path() + "/" + std::to_string(i), true);
        REQUIRE(root);
        health.push_back(std::make_unique<DiskHealth>("volume", "v" + std::to_string(i)));
        volumes.push_back(std::make_unique<Volume>(*health.back(), *root, expected[i].bytes));
        REQUIRE(loop.run(volumes.back()->prepare(1000 + i, false)));
    }
    auto all = std::span<const std::unique_ptr<Volume>>(volumes);
    constexpr int blobs = 4000;
    int moved = 0;
    for (int i = 0; i < blobs; ++i) {
        auto digest = digest_of(std::to_string(i));
        auto* chosen = choose_volume(all, digest);
        for (std::size_t v = 0; v < volumes.size(); ++v) expected[v].count += chosen == volumes[v].get();
        auto* without_first = choose_volume(all.subspan(1), digest);
        if (chosen != volumes[0].get() && without_first != chosen) ++moved;
    }
    CHECK(moved == 0);
    CHECK(std::abs(expected[0].count - blobs / 4) < blobs / 20);
    CHECK(std::abs(expected[1].count - blobs / 4) < blobs / 20);
    CHECK(std::abs(expected[2].count - blobs / 2) < blobs / 20);
}

TEST_CASE("volume: flat names are the digest's and nothing else") {
    auto digest = digest_of("x");
    CHECK(parse_flat_name(flat_name(digest)) == digest);
    auto long_digest = Digest::of(bytes_of("x"), DigestAlgorithm::sha512);
    CHECK(parse_flat_name(flat_name(long_digest)) == long_digest);
    for (auto* bad : {"", "sha256-", "sha256:abc", "sha256-abc", "../../etc/passwd"}) CHECK_FALSE(parse_flat_name(bad));
    CHECK_FALSE(parse_flat_name(flat_name(digest) + ".sums"));
    CHECK_FALSE(parse_flat_name(flat_name(digest) + "0"));
}

}  // namespace entrepot
