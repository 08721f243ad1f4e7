#include "load/client_profile.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;

TEST_CASE("client profile: three clients are known, each with its habits") {
    auto containerd = find_client_profile("containerd");
    REQUIRE(containerd);
    CHECK((!containerd->asks_base && containerd->heads_tag && containerd->keeps_connections));
    auto docker = find_client_profile("docker");
    REQUIRE(docker);
    CHECK((docker->asks_base && docker->heads_tag && !docker->keeps_connections && docker->transfers_max == 3));
    auto skopeo = find_client_profile("skopeo");
    REQUIRE(skopeo);
    CHECK((skopeo->asks_base && !skopeo->heads_tag && skopeo->keeps_connections && skopeo->transfers_max == 6));
    CHECK(!find_client_profile("curl"));
}

TEST_CASE("client profile: containerd names the media type it expects, on manifests and blobs") {
    auto containerd = *find_client_profile("containerd");
    CHECK(manifest_lines(containerd, "", true).find("application/vnd.oci.image.index.v1+json, */*\r\n") != std::string::npos);
    CHECK(manifest_lines(containerd, "application/x", false).find("Accept: application/x, */*\r\nAccept-Encoding: gzip\r\n") !=
          std::string::npos);
    CHECK(blob_lines(containerd, "application/y", false).find("Accept: application/y, */*\r\nAccept-Encoding: gzip\r\n") !=
          std::string::npos);
    // A blob that is continued is asked for as it is.
    CHECK(blob_lines(containerd, "application/y", true).find("Accept-Encoding") == std::string::npos);
}

TEST_CASE("client profile: docker closes after every request, and lists types one a line") {
    auto docker = *find_client_profile("docker");
    for (const auto& lines :
         {manifest_lines(docker, "application/x", false), blob_lines(docker, "application/x", false), base_lines(docker)}) {
        CHECK(lines.ends_with("Connection: close\r\n"));
        CHECK(lines.find("application/x") == std::string::npos);
    }
    CHECK(manifest_lines(docker, "", true).find("Accept: application/vnd.oci.image.index.v1+json\r\n") != std::string::npos);
}

TEST_CASE("client profile: every line ends, and none is empty") {
    for (const char* name : {"containerd", "docker", "skopeo"}) {
        auto profile = *find_client_profile(name);
        for (const auto& lines : {manifest_lines(profile, "", false), manifest_lines(profile, "a/b", true),
                                  blob_lines(profile, "a/b", true), base_lines(profile)}) {
            CHECK(lines.ends_with("\r\n"));
            CHECK(lines.find("\r\n\r\n") == std::string::npos);
            CHECK(!lines.starts_with("\r\n"));
        }
    }
}
