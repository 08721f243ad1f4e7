#include "entrepot/cache/manifests.h"

#include "entrepot/oci/manifest.h"

#include "support/cache_box.h"

namespace entrepot {
namespace {

const std::string config = "{}", layer = "abc";
const std::string manifest = image_manifest(digest_of(config), digest_of(layer));

struct ManifestsBox : FetchBox {
    Fetched<ManifestContent> fetch(const std::string& reference) { return loop().run(manifests.fetch(source(), reference)); }
    Manifests manifests{*tools};
};

Offer manifest_offer(std::string body) {
    Offer offer;
    offer.body = std::move(body);
    offer.content_type = image_manifest_type;
    return offer;
}

}  // namespace

TEST_CASE("inspect_manifest: the bytes decide the digest, whatever the headers claim") {
    struct Row {
        std::string body, type, claimed, reference;
        std::optional<Code> refused;
    };
    auto own = digest_of(manifest).text(), other = digest_of("other").text(),
         longer = Digest::of(bytes_of(manifest), DigestAlgorithm::sha512).text();
    std::string type(image_manifest_type);
    const Row rows[] = {
        {manifest, type, own, "latest", {}},
        {manifest, type, "", "latest", {}},
        {manifest, type, "nonsense", "latest", {}},
        {manifest, type, longer, "latest", {}},
        {manifest, type, other, "latest", Code::wrong_digest},
        {manifest, type, own, own, {}},
        {manifest, type, other, own, {}},  // we asked by digest and got it: the header adds nothing
        {manifest, type, own, longer, {}},
        {manifest, type, own, other, Code::wrong_digest},
        {"<!doctype html><html>Sign in</html>", "text/html", "", "latest", Code::bad_message},
        {"<!doctype html><html>Sign in</html>", type, "", "latest", Code::bad_message},
        {manifest, "text/html", "", "latest", {}},  // says nothing: the document itself is one
        {manifest, "application/vnd.oci.image.index.v1+json", "", "latest", Code::bad_message},
        {"[]", type, "", "latest", Code::bad_message},
        {"", type, "", "latest", Code::bad_message},
    };
    for (auto& row : rows) {
        CAPTURE(row.body);
        CAPTURE(row.type);
        CAPTURE(row.claimed);
        CAPTURE(row.reference);
        auto content = inspect_manifest(row.body, row.type, row.claimed, row.reference);
        REQUIRE(content.has_value() != row.refused.has_value());
        if (row.refused) {
            CHECK(content.error().error.code == *row.refused);
            CHECK(content.error().error.fault == Fault::upstream);
            continue;
        }
        CHECK(*content->body == row.body);
        CHECK(content->digest == Digest::of(bytes_of(row.body), content->digest.algorithm()));
        CHECK(content->media_type == type);
        CHECK(content->size == row.body.size());
    }
    CHECK(inspect_manifest(manifest, type, longer, "latest")->digest.text() == longer);
}

TEST_CASE("manifests: everybody who asks for one reference meanwhile shares one request, others have their own") {
    ManifestsBox box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_head = false;
    box.upstreams.answer = [&](auto&) {
        auto offer = manifest_offer(manifest);
        offer.gate = gate;
        return offer;
    };
    std::vector<Task<Fetched<ManifestContent>>> asking;
    for (int i = 0; i < 100; ++i) asking.push_back(box.manifests.fetch(box.source(), "latest"));
    auto late = box.source();
    late.client = 7;
    asking.push_back(box.manifests.fetch(late, "latest"));
    auto other_tag = box.manifests.fetch(box.source(), "stable");
    auto other_repository = box.manifests.fetch(box.source("library/other"), "latest");
    auto other_scope = box.manifests.fetch(box.source("library/app", credential_named("hub")), "latest");
    box.loop().run_until([&] { return box.upstreams.requests.size() == 4; });
    auto advocates = box.upstreams.requests.front().askers->count();
    gate->open_all();
    for (auto& task : asking) {
        auto got = box.loop().run(std::move(task));
        REQUIRE(got);
        CHECK(got->digest == digest_of(manifest));
    }
    CHECK(box.loop().run(std::move(other_tag)));
    CHECK(box.loop().run(std::move(other_repository)));
    CHECK(box.loop().run(std::move(other_scope)));
    CHECK(box.upstreams.requests.size() == 4);
    CHECK(advocates == 2);  // clients in whose lines the first waited: of the hundred, and of the late one
    // The next one asks again.
    CHECK(box.fetch("latest"));
    CHECK(box.upstreams.requests.size() == 5);
}

TEST_CASE("manifests: a failure goes to all that waited for it") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return refusal(Code::too_many_requests, 429); };
    auto first = box.manifests.fetch(box.source(), "latest");
    auto second = box.manifests.fetch(box.source(), "latest");
    auto got = box.loop().run(std::move(first));
    REQUIRE_FALSE(got);
    CHECK(got.error().error.code == Code::too_many_requests);
    got = box.loop().run(std::move(second));
    REQUIRE_FALSE(got);
    CHECK(got.error().error.detail == 429);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("manifests: one byte more than the bound is refused, told or untold") {
    ManifestsBox box;
    for (bool untold : {false, true}) {
        box.upstreams.answer = [&](auto&) {
            auto offer = manifest_offer(std::string(manifest_bytes_max + 1, ' '));
            offer.length_untold = untold;
            return offer;
        };
        auto got = box.fetch("latest");
        REQUIRE_FALSE(got);
        CHECK(got.error().error.code == Code::too_large);
    }
    // At the bound it is read; what it holds is another matter.
    box.upstreams.answer = [&](auto&) {
        return manifest_offer(manifest + std::string(manifest_bytes_max - manifest.size(), ' '));
    };
    auto got = box.fetch("latest");
    REQUIRE(got);
    CHECK(got->size == manifest_bytes_max);
}

TEST_CASE("manifests: wrong bytes for a digest are counted and refused; a body that breaks off is not served") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return manifest_offer(manifest + " "); };
    auto got = box.fetch(digest_of(manifest).text());
    REQUIRE_FALSE(got);
    CHECK(got.error().error.code == Code::wrong_digest);
    CHECK(box.counters.digest_mismatches.value() == 1);
    box.upstreams.answer = [](auto&) {
        auto offer = manifest_offer(manifest);
        offer.breaks_after = 50;
        return offer;
    };
    got = box.fetch("latest");
    REQUIRE_FALSE(got);
    CHECK(got.error().error.code == Code::wrong_length);
}

TEST_CASE("manifests: keeping one stores it, and grants it and what it is made of to the source alone") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return manifest_offer(manifest); };
    auto got = box.fetch("latest");
    REQUIRE(got);
    auto absent = box.loop().run(box.manifests.find(box.source(), digest_of(manifest)));
    CHECK_FALSE(absent);
    auto keeping = box.manifests.keep(box.source(), *got);
    CHECK(box.manifests.keeping(digest_of(manifest)));
    box.loop().run(std::move(keeping));
    CHECK_FALSE(box.manifests.keeping(digest_of(manifest)));
    for (auto& digest : {digest_of(manifest), digest_of(config), digest_of(layer)}) {
        CHECK(box.granted(box.source(), digest));
        CHECK_FALSE(box.granted(box.source("library/other"), digest));
    }
    auto found = box.loop().run(box.manifests.find(box.source(), digest_of(manifest)));
    REQUIRE(found);
    CHECK(*found->body == manifest);
    CHECK(found->media_type == image_manifest_type);
    CHECK(box.troubles().touched.size() == 2);  // its references stay young with it
    CHECK_FALSE(box.loop().run(box.manifests.find(box.source("library/other"), digest_of(manifest))));
    // Keeping what is stored already only grants.
    box.loop().run(box.manifests.keep(box.source("library/other"), *got));
    CHECK(box.troubles().begun == 1);
    CHECK(box.loop().run(box.manifests.find(box.source("library/other"), digest_of(manifest))));
}

TEST_CASE("manifests: a store that refuses leaves no record of what it does not have") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return manifest_offer(manifest); };
    auto got = box.fetch("latest");
    REQUIRE(got);
    box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
    box.loop().run(box.manifests.keep(box.source(), *got));
    CHECK_FALSE(box.store->ledger().find_manifest(digest_of(manifest)));
    CHECK_FALSE(box.manifests.keeping(digest_of(manifest)));
    box.troubles().refuse_begin.reset();
    box.troubles().append_bytes_max = 0;
    box.loop().run(box.manifests.keep(box.source(), *got));
    CHECK_FALSE(box.store->ledger().find_manifest(digest_of(manifest)));
    CHECK(box.troubles().abandoned_dropped == 1);
}

TEST_CASE("manifests: a stored one that rotted is quarantined and counts as absent") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return manifest_offer(manifest); };
    auto got = box.fetch("latest");
    REQUIRE(got);
    box.loop().run(box.manifests.keep(box.source(), *got));
    auto path = box.box.blob_path(digest_of(manifest));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    auto rotten = manifest;
    rotten[10] ^= 1;
    write_text(path, rotten);
    CHECK_FALSE(box.loop().run(box.manifests.find(box.source(), digest_of(manifest))));
    CHECK(box.troubles().quarantined == 1);
}

TEST_CASE("manifests: a stored one whose sum is wrong in the ledger is served, whatever upstream says") {
    ManifestsBox box;
    box.upstreams.answer = [](auto&) { return manifest_offer(manifest); };
    auto got = box.fetch("latest");
    REQUIRE(got);
    box.loop().run(box.manifests.keep(box.source(), *got));
    auto record = *box.store->ledger().find_blob(digest_of(manifest));
    record.sums[0] ^= 1;
    box.apply(PutSums{digest_of(manifest), record.sums});
    auto found = box.loop().run(box.manifests.find(box.source(), digest_of(manifest)));
    REQUIRE(found);
    REQUIRE(found->body);
    CHECK(*found->body == manifest);
}

TEST_CASE("manifests: a large one that is stored comes as a file, not through memory") {
    ManifestsBox box;
    auto large = image_manifest(digest_of(config), digest_of(layer), std::string(small_body_bytes_max, 'n'));
    box.upstreams.answer = [&](auto&) { return manifest_offer(large); };
    auto got = box.fetch("latest");
    REQUIRE(got);
    CHECK(*got->body == large);
    box.loop().run(box.manifests.keep(box.source(), *got));
    auto found = box.loop().run(box.manifests.find(box.source(), digest_of(large)));
    REQUIRE(found);
    CHECK_FALSE(found->body);
    REQUIRE(found->file);
    CHECK(found->file->size() == large.size());
}

}  // namespace entrepot
