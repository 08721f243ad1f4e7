#include "entrepot/oci/request_target.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace entrepot;

namespace {

const std::string digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string sha512 = "sha512:" + digest.substr(7) + digest.substr(7);

struct Parsed {
    QueryScratch scratch;
    Result<RequestTarget, TargetError> result;
    explicit Parsed(std::string_view target) : result(parse(target, scratch)) {}
    static Result<RequestTarget, TargetError> parse(std::string_view target, QueryScratch& scratch) {
        const auto path = target.substr(0, target.find('?'));
        return parse_request_target(path, target.substr(std::min(path.size() + 1, target.size())), scratch);
    }
    const RequestTarget* operator->() const { return &*result; }
};

}  // namespace

TEST_CASE("request target: every call of the pull API") {
    struct {
        std::string target;
        TargetKind kind;
        std::string repository, tag;
        bool has_digest;
    } const rows[] = {
        {"/v2/", TargetKind::base, "", "", false},
        {"/v2", TargetKind::base, "", "", false},
        {"/v2/?x=y", TargetKind::base, "", "", false},
        {"/v2/_catalog", TargetKind::catalog, "", "", false},
        {"/v2/alpine/manifests/latest", TargetKind::manifest, "alpine", "latest", false},
        {"/v2/library/alpine/manifests/3.20", TargetKind::manifest, "library/alpine", "3.20", false},
        {"/v2/a/manifests/" + digest, TargetKind::manifest, "a", "", true},
        {"/v2/a/b/c/blobs/" + digest, TargetKind::blob, "a/b/c", "", true},
        {"/v2/a/blobs/" + sha512, TargetKind::blob, "a", "", true},
        {"/v2/docker.io/library/alpine/tags/list", TargetKind::tags_list, "docker.io/library/alpine", "", false},
        {"/v2/a/referrers/" + digest, TargetKind::referrers, "a", "", true},
        {"/v2/a/blobs/uploads/", TargetKind::upload, "a", "", false},
        {"/v2/a/blobs/uploads", TargetKind::upload, "a", "", false},
        {"/v2/a/b/blobs/uploads/9f0c-17", TargetKind::upload, "a/b", "", false},
        {"/v2/a/blobs/uploads/?mount=" + digest + "&from=b", TargetKind::upload, "a", "", false},
        // repositories that have the API's own words as components
        {"/v2/manifests/manifests/manifests", TargetKind::manifest, "manifests", "manifests", false},
        {"/v2/a/blobs/manifests/latest", TargetKind::manifest, "a/blobs", "latest", false},
        {"/v2/a/tags/list/manifests/list", TargetKind::manifest, "a/tags/list", "list", false},
        {"/v2/tags/list/tags/list", TargetKind::tags_list, "tags/list", "", false},
        {"/v2/a/manifests/tags/list", TargetKind::tags_list, "a/manifests", "", false},
        {"/v2/a/manifests/blobs/" + digest, TargetKind::blob, "a/manifests", "", true},
        {"/v2/a/blobs/uploads/manifests/latest", TargetKind::manifest, "a/blobs/uploads", "latest", false},
        {"/v2/a/blobs/uploads/blobs/" + digest, TargetKind::blob, "a/blobs/uploads", "", true},
        {"/v2/v2/manifests/v2", TargetKind::manifest, "v2", "v2", false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.target);
        const Parsed parsed(row.target);
        REQUIRE(parsed.result);
        CHECK(parsed->kind == row.kind);
        CHECK(parsed->repository == row.repository);
        CHECK(parsed->tag == row.tag);
        CHECK(parsed->digest.has_value() == row.has_digest);
        CHECK(parsed->path == row.target.substr(0, row.target.find('?')));
    }
}

TEST_CASE("request target: each refusal has its code and status") {
    const std::string a255(255, 'a');
    struct {
        std::string target;
        OciCode code;
        int status;
    } const rows[] = {
        // outside the API
        {"", OciCode::unsupported, 404},
        {"/", OciCode::unsupported, 404},
        {"*", OciCode::unsupported, 404},
        {"/v1/", OciCode::unsupported, 404},
        {"/v2x", OciCode::unsupported, 404},
        {"/v2//", OciCode::unsupported, 404},
        {"/V2/", OciCode::unsupported, 404},
        {"/v2/alpine", OciCode::unsupported, 404},
        {"/v2/a/b", OciCode::unsupported, 404},
        {"/v2/_catalog/", OciCode::unsupported, 404},
        {"/v2/a/_catalog", OciCode::unsupported, 404},
        {"/v2/a/tags", OciCode::unsupported, 404},
        {"/v2/a/tags/list/", OciCode::unsupported, 404},
        {"/v2/a/tags/lists", OciCode::unsupported, 404},
        {"/v2/a/manifests", OciCode::unsupported, 404},
        {"/v2/a/Manifests/b", OciCode::unsupported, 404},
        {"/v2/a/manifests/b/c", OciCode::unsupported, 404},
        {"//v2/a/manifests/b", OciCode::unsupported, 404},
        {"/v2/uploads/x", OciCode::unsupported, 404},
        // names
        {"/v2/A/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a..b/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a___b/manifests/x", OciCode::name_invalid, 400},
        {"/v2/-a/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a-/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a//b/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a//manifests/x", OciCode::name_invalid, 400},
        {"/v2//manifests/x", OciCode::name_invalid, 400},
        {"/v2/manifests/x", OciCode::name_invalid, 400},
        {"/v2/blobs/" + digest, OciCode::name_invalid, 400},
        {"/v2/./manifests/x", OciCode::name_invalid, 400},
        {"/v2/../manifests/x", OciCode::name_invalid, 400},
        {"/v2/a/../b/blobs/" + digest, OciCode::name_invalid, 400},
        {"/v2/_a/tags/list", OciCode::name_invalid, 400},
        {"/v2/tags/list", OciCode::name_invalid, 400},
        {"/v2/a%2fb/manifests/x", OciCode::name_invalid, 400},
        {"/v2/%61/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a%0d%0aX:y/manifests/x", OciCode::name_invalid, 400},
        {"/v2/" + a255 + "a/manifests/x", OciCode::name_invalid, 400},
        {"/v2/a /tags/list", OciCode::name_invalid, 400},
        // digests
        {"/v2/a/blobs/latest", OciCode::digest_invalid, 400},
        {"/v2/a/blobs/", OciCode::digest_invalid, 400},
        {"/v2/a/blobs/" + digest + "0", OciCode::digest_invalid, 400},
        {"/v2/a/blobs/sha256%3A" + digest.substr(7), OciCode::digest_invalid, 400},
        {"/v2/a/manifests/sha256:abc", OciCode::digest_invalid, 400},
        {"/v2/a/manifests/md5:" + digest.substr(7), OciCode::digest_invalid, 400},
        {"/v2/a/manifests/a:b", OciCode::digest_invalid, 400},
        {"/v2/a/referrers/latest", OciCode::digest_invalid, 400},
        {"/v2/a/blobs/sha256:" + std::string(64, 'A'), OciCode::digest_invalid, 400},
        // tags that cannot exist
        {"/v2/a/manifests/" + std::string(129, 't'), OciCode::manifest_unknown, 404},
        {"/v2/a/manifests/-x", OciCode::manifest_unknown, 404},
        {"/v2/a/manifests/.x", OciCode::manifest_unknown, 404},
        {"/v2/a/manifests/x%20y", OciCode::manifest_unknown, 404},
        {"/v2/a/manifests/", OciCode::manifest_unknown, 404},
        // queries
        {"/v2/a/tags/list?n=", OciCode::pagination_number_invalid, 400},
        {"/v2/a/tags/list?n", OciCode::pagination_number_invalid, 400},
        {"/v2/a/tags/list?n=-1", OciCode::pagination_number_invalid, 400},
        {"/v2/a/tags/list?n=1.5", OciCode::pagination_number_invalid, 400},
        {"/v2/a/tags/list?n=x", OciCode::pagination_number_invalid, 400},
        {"/v2/_catalog?n=0x10", OciCode::pagination_number_invalid, 400},
        {"/v2/_catalog?n=1&n=1", OciCode::pagination_number_invalid, 400},
        {"/v2/_catalog?n=%31", OciCode::pagination_number_invalid, 400},
        {"/v2/a/tags/list?last=%0a", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?last=a&last=b", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?last=" + std::string(261, 'a'), OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a/b", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=https://a", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%0d%0ab", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%00", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%3", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%zz", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a%253A1", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=a.b&ns=c.d", OciCode::name_invalid, 400},
        {"/v2/a/tags/list?ns=user@a.b", OciCode::name_invalid, 400},
        {"/v2/a/referrers/" + digest + "?artifactType=a%20b", OciCode::unsupported, 400},
        {"/v2/a/referrers/" + digest + "?artifactType=a&artifactType=b", OciCode::unsupported, 400},
    };
    for (const auto& row : rows) {
        CAPTURE(row.target);
        const Parsed parsed(row.target);
        REQUIRE_FALSE(parsed.result);
        CHECK(name_of(parsed.result.error().code) == name_of(row.code));
        CHECK(parsed.result.error().status == row.status);
        CHECK_FALSE(parsed.result.error().message.empty());
    }
}

TEST_CASE("request target: names at their bounds pass") {
    CHECK(Parsed("/v2/" + std::string(255, 'a') + "/manifests/" + std::string(128, 't')).result);
}

TEST_CASE("request target: query values are decoded once") {
    const Parsed parsed("/v2/library/alpine/blobs/" + digest + "?ns=upstream.test%3A5000&digest=x");
    REQUIRE(parsed.result);
    CHECK(parsed->ns == "upstream.test:5000");

    const Parsed all("/v2/a/referrers/" + digest +
                     "?&&n=2&artifactType=application%2Fvnd.example%2Bjson&last=v1.0&ns=Docker.IO&x");
    REQUIRE(all.result);
    CHECK(all->n == 2u);
    CHECK(all->artifact_type == "application/vnd.example+json");
    CHECK(all->last == "v1.0");
    CHECK(all->ns == "docker.io");

    const Parsed plus("/v2/a/referrers/" + digest + "?artifactType=application/vnd.example+json");
    REQUIRE(plus.result);
    CHECK(plus->artifact_type == "application/vnd.example+json");
}

TEST_CASE("request target: keys that only look like ours are ignored, empty values are absent") {
    const Parsed parsed("/v2/a/tags/list?NS=a/b&%6es=a/b&nn=x&ns=&last=&N=z");
    REQUIRE(parsed.result);
    CHECK(parsed->ns.empty());
    CHECK(parsed->last.empty());
    CHECK_FALSE(parsed->n);
}

TEST_CASE("request target: n is lowered to the largest page, however long its number is") {
    struct {
        std::string n;
        std::uint32_t value;
    } const rows[] = {
        {"0", 0},
        {"1", 1},
        {"007", 7},
        {"10000", 10'000},
        {"10001", 10'000},
        {"4294967296", 10'000},
        {"18446744073709551616", 10'000},
        {std::string(5000, '9'), 10'000},
        {"99990000000000000000000", 10'000},
    };
    for (const auto& row : rows) {
        CAPTURE(row.n);
        const Parsed parsed("/v2/a/tags/list?n=" + row.n);
        REQUIRE(parsed.result);
        CHECK(parsed->n == row.value);
    }
}

TEST_CASE("request target: the longest values of all four keys fit the scratch") {
    const std::string label(63, 'a');
    const std::string host = label + "." + label + "." + label + "." + std::string(61, 'b') + ":65535";
    std::string escaped;
    for (int i = 0; i < 260; ++i) escaped += "%61";
    const Parsed parsed("/v2/a/tags/list?ns=" + host + "&last=" + escaped + "&artifactType=" + escaped + "&n=1");
    REQUIRE(parsed.result);
    CHECK(parsed->ns == host);
    CHECK(parsed->last == std::string(260, 'a'));
    CHECK(parsed->artifact_type == std::string(260, 'a'));
}
