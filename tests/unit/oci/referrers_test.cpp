#include "entrepot/oci/referrers.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>

using namespace entrepot;

namespace {

using Texts = std::initializer_list<std::string>;

std::string digest_of(const std::string& text) { return Digest::of(bytes_of(text)).text(); }
std::string referrer(const std::string& content, const std::string& artifact_type, const std::string& more = "") {
    return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" + digest_of(content) + R"(","size":)" +
           std::to_string(content.size()) + R"(,"artifactType":")" + artifact_type + '"' + more + '}';
}
std::string index_of(const std::string& list) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" + list + "]}";
}

}  // namespace

TEST_CASE("referrers: nothing is the empty index") {
    CHECK(ReferrerSet().index_body("") == index_of(""));
    CHECK(ReferrerSet().index_body("a/b") == index_of(""));
}

TEST_CASE("referrers: pages are collected and filtered, descriptors keep every member and its order") {
    const std::string signature = referrer("sig", "application/vnd.example.signature",
                                           R"(,"annotations":{"z":"1","a":"<x>"},"extra":[1,18446744073709551615])");
    const std::string sbom = referrer("sbom", "application/vnd.example.sbom");
    ReferrerSet set;
    REQUIRE(set.add_page(index_of(signature)));
    REQUIRE(set.add_page(index_of(sbom + "," + signature)));
    CHECK(set.size() == 2);
    CHECK(set.index_body("") == index_of(signature + "," + sbom));
    CHECK(set.index_body("application/vnd.example.sbom") == index_of(sbom));
    CHECK(set.index_body("application/vnd.example.other") == index_of(""));
}

TEST_CASE("referrers: what we answer is an index that a page can be read from again") {
    ReferrerSet set;
    REQUIRE(set.add_page(R"({"schemaVersion":2,"manifests":[)" +
                         referrer("x", "a/b", ",\"annotations\":{\"t\":\"\xc3\xa9\\u0000\"}") +
                         R"(],"annotations":{},"subject":null})"));
    const std::string body = set.index_body("");
    CHECK(nlohmann::json::parse(body).at("manifests").at(0).at("annotations").at("t") == std::string("\xc3\xa9\0", 3));
    ReferrerSet again;
    REQUIRE(again.add_page(body));
    CHECK(again.index_body("") == body);
}

TEST_CASE("referrers: only an index is a page, and a refused page adds nothing") {
    ReferrerSet set;
    REQUIRE(set.add_page(index_of(referrer("x", "a/b"))));
    for (const std::string& json : Texts{"", "[]", "{}", R"({"layers":[]})", R"({"errors":[]})",
                                         index_of(referrer("y", "a/b") + ",{}"), index_of(referrer("y", "a/b")) + "x"}) {
        CAPTURE(json);
        const auto added = set.add_page(json);
        REQUIRE_FALSE(added);
        CHECK(added.error() == ListFault::not_json);
        CHECK(set.size() == 1);
    }
    CHECK(set.add_page(R"({"schemaVersion":2,"manifests":null})"));
    CHECK(set.size() == 1);
}

TEST_CASE("referrers: 10,000 over all pages, 4 MiB a page") {
    ReferrerSet set;
    std::size_t number = 0;
    for (int page = 0; page < 10; ++page) {
        std::string list;
        for (int i = 0; i < 1000; ++i) list += (i ? "," : "") + referrer(std::to_string(number++), "a/b");
        REQUIRE(set.add_page(index_of(list)));
    }
    CHECK(set.size() == referrers_max);
    const auto one_more = set.add_page(index_of(referrer("last", "a/b")));
    REQUIRE_FALSE(one_more);
    CHECK(one_more.error() == ListFault::too_many);
    CHECK(set.size() == referrers_max);

    std::string large = index_of("");
    large.append(referrers_bytes_max + 1 - large.size(), ' ');
    const auto too_large = set.add_page(large);
    REQUIRE_FALSE(too_large);
    CHECK(too_large.error() == ListFault::too_large);
}

TEST_CASE("referrers: the fallback tag") {
    CHECK(referrers_tag(Digest::of({})) == "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const std::string long_tag = referrers_tag(Digest::of({}, DigestAlgorithm::sha512));
    CHECK(long_tag.size() == 7 + 64);
    CHECK(long_tag.starts_with("sha512-cf83e1357eefb8bd"));
}
