#include "upstream/request.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

UpstreamRequest request_for(const std::string& repository, const std::string& resource, UpstreamKind kind = UpstreamKind::blob) {
    UpstreamRequest request;
    request.kind = kind;
    request.repository = repository;
    request.resource = resource;
    return request;
}

std::string why(const UpstreamRequest& request, const std::string& fields, int status = 206) {
    auto text = "HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n";
    ResponseHead head;
    REQUIRE(parse_response_head(text, head).state == ParseState::complete);
    return why_unusable(request, head);
}

}  // namespace

TEST_CASE("request: a head is made of parsed values and nothing else") {
    auto url = url_at(Origin{"https", "registry-1.docker.io", 443}, request_for("library/alpine", "blobs/sha256:ab"));
    auto head = request_head(request_for("library/alpine", "blobs/sha256:ab"), url, "");
    CHECK(
        head ==
        "GET /v2/library/alpine/blobs/sha256:ab HTTP/1.1\r\nHost: registry-1.docker.io\r\nUser-Agent: entrepot/0.1.0\r\nAccept-Encoding: identity\r\n\r\n");
}

TEST_CASE("request: kinds and ranges add their fields") {
    auto request = request_for("a/b", "manifests/latest", UpstreamKind::manifest_head);
    request.head = true;
    auto url = url_at(Origin{"http", "::1", 5000}, request);
    auto head = request_head(request, url, "Bearer t");
    CHECK(head.starts_with("HEAD /v2/a/b/manifests/latest HTTP/1.1\r\nHost: [::1]:5000\r\n"));
    CHECK(head.find("\r\nAccept: application/vnd.oci.image.index.v1+json") != head.npos);
    CHECK(head.find("\r\nAuthorization: Bearer t\r\n\r\n") != head.npos);

    auto rest = request_for("a/b", "blobs/sha256:ab");
    rest.range_from = 1'000'000'000'000;
    CHECK(request_head(rest, url_at(Origin{"http", "r.test", 80}, rest), "").find("\r\nRange: bytes=1000000000000-\r\n") !=
          head.npos);
    auto tags = request_for("a/b", "tags/list", UpstreamKind::tags);
    tags.query = "n=100&last=v1";
    CHECK(request_head(tags, url_at(Origin{"http", "r.test", 80}, tags), "")
              .starts_with("GET /v2/a/b/tags/list?n=100&last=v1 HTTP/1.1\r\n"));
}

TEST_CASE("request: the scope is of the repository in the path, where there is one") {
    auto request = request_for("pause", "manifests/3.9", UpstreamKind::manifest_get);
    struct Row {
        const char* path;
        const char* scope;
    };
    for (auto row :
         {Row{"/v2/pause/manifests/3.9", "repository:pause:pull"},
          Row{"/v2/k8s-artifacts-prod/images/pause/manifests/3.9", "repository:k8s-artifacts-prod/images/pause:pull"},
          Row{"/v2/a/blobs/b/blobs/sha256:ab", "repository:a/blobs/b:pull"}, Row{"/bucket/xyz", "repository:pause:pull"},
          Row{"/v2//manifests/x", "repository:pause:pull"}, Row{"/v2/", "repository:pause:pull"}}) {
        CAPTURE(std::string(row.path));
        Url url;
        url.path = row.path;
        CHECK(pull_scope(request, url) == row.scope);
    }
}

TEST_CASE("request: an answer that is none to the question is refused") {
    auto whole = request_for("a", "blobs/sha256:ab");
    auto rest = whole;
    rest.range_from = 100;
    CHECK(why(whole, "Content-Length: 3\r\n", 200) == "");
    CHECK(why(whole, "Content-Encoding: identity\r\n", 200) == "");
    CHECK(why(whole, "Content-Encoding: IDENTITY\r\n", 200) == "");
    CHECK(why(whole, "Content-Encoding: gzip\r\n", 200).find("gzip") != std::string::npos);
    CHECK(why(whole, "Content-Range: bytes 0-2/9\r\n").find("not asked for") != std::string::npos);
    CHECK(why(rest, "Content-Length: 900\r\n", 200) == "");
    CHECK(why(rest, "Content-Range: bytes 100-999/1000\r\nContent-Length: 900\r\n") == "");
    CHECK(why(rest, "Content-Range: bytes 100-999/*\r\n") == "");
    for (const char* fields :
         {"", "Content-Range: bytes 99-999/1000\r\n", "Content-Range: bytes 101-999/1000\r\n",
          "Content-Range: bytes 0-999/1000\r\n", "Content-Range: bytes */1000\r\n", "Content-Range: items 100-999/1000\r\n",
          "Content-Range: bytes 100-99/1000\r\n", "Content-Range: bytes 100-999/500\r\n", "Content-Range: junk\r\n"}) {
        CAPTURE(std::string(fields));
        CHECK(why(rest, fields).find("another range") != std::string::npos);
    }
    CHECK(why(rest, "Content-Range: bytes 100-999/1000\r\nContent-Length: 5\r\n").find("contradict") != std::string::npos);
}
