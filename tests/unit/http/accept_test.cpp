#include "entrepot/http/accept.h"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

using namespace entrepot;

namespace {

constexpr std::string_view manifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view image_index = "application/vnd.oci.image.index.v1+json";

bool admits(const std::vector<std::string_view>& lines, std::string_view media_type = manifest) {
    return accepts(lines, media_type);
}

}  // namespace

TEST_CASE("Accept: nothing said means everything is welcome") {
    CHECK(admits({}));
    CHECK(admits({""}));
    CHECK(admits({" , ,", ""}));
}

TEST_CASE("Accept: as clients write it, on one line or on many") {
    CHECK(admits({"application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, */*"}));
    CHECK(admits({"application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json"}));
    CHECK(admits({"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json"}));
    CHECK_FALSE(admits({"application/vnd.docker.distribution.manifest.v2+json", "application/json"}));
    CHECK_FALSE(admits({"application/vnd.oci.image.manifest.v1+json"}, image_index));
    CHECK(admits({"Application/VND.oci.image.manifest.v1+JSON"}));
    CHECK(admits({"application/vnd.oci.image.manifest.v1+json"}, "Application/vnd.oci.image.manifest.v1+json; charset=utf-8"));
    CHECK(admits({"application/vnd.oci.image.manifest.v1+json ;q=0.5"}));
}

TEST_CASE("Accept: ranges") {
    CHECK(admits({"*/*"}));
    CHECK(admits({"application/*"}));
    CHECK(admits({"APPLICATION/*"}));
    CHECK_FALSE(admits({"text/*"}));
    CHECK_FALSE(admits({"app/*"}));
    CHECK_FALSE(admits({"*"}));
    CHECK_FALSE(admits({"application"}));
    CHECK_FALSE(admits({"*/json"}));
}

TEST_CASE("Accept: a weight of zero refuses, and the most specific range decides") {
    CHECK_FALSE(admits({"*/*;q=0"}));
    CHECK_FALSE(admits({"*/*; Q=0.000"}));
    CHECK_FALSE(admits({"*/*;q=0."}));
    CHECK(admits({"*/*;q=0.001"}));
    CHECK(admits({"*/*;q=1"}));
    CHECK(admits({"*/*;q="}));
    CHECK(admits({"*/*;q=00"}));
    CHECK(admits({"*/*;level=0"}));
    CHECK_FALSE(admits({"*/*, application/vnd.oci.image.manifest.v1+json;q=0"}));
    CHECK_FALSE(admits({"application/vnd.oci.image.manifest.v1+json;q=0", "*/*"}));
    CHECK(admits({"*/*;q=0, application/vnd.oci.image.manifest.v1+json"}));
    CHECK(admits({"*/*;q=0, application/*"}));
    CHECK_FALSE(admits({"*/*, application/*;q=0"}));
    CHECK(admits({"application/*;q=0, application/vnd.oci.image.manifest.v1+json;q=0.1, */*;q=0"}));
    CHECK(admits({"application/*;q=0, application/*"}));
    CHECK(admits({"application/*, application/*;q=0"}));
    CHECK(admits({"a/b;level=1;q=0, */*;x=y"}));
}

TEST_CASE("Accept: a line that is the media type decides, wherever it stands") {
    CHECK(admits({"*/*;q=0", "application/vnd.oci.image.manifest.v1+json"}));
    CHECK(admits({"application/vnd.oci.image.manifest.v1+json;q=0", "application/vnd.oci.image.manifest.v1+json"}));
    CHECK(admits({"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.manifest.v1+json;q=0"}));
    CHECK(
        admits({"text/plain", "application/vnd.oci.image.manifest.v1+json"}, "application/vnd.oci.image.manifest.v1+json ; a=b"));
    CHECK_FALSE(admits({"a/b,c/d"}, "a/b,c/d"));  // a list of two, neither of which is that
    CHECK_FALSE(admits({"", "a/b"}, ""));
}
