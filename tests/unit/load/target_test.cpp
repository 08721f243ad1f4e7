#include "load/target.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;

namespace {

constexpr const char* hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Target good(std::string_view text, const TargetHabits& habits = {}) {
    auto target = parse_target(text, habits);
    if (!target) FAIL(target.error());
    return std::move(*target);
}

}  // namespace

TEST_CASE("target: references and manifest URLs are images, everything else is a URL") {
    struct Row {
        std::string text, url, repository, reference;
    };
    const std::string digest = std::string("sha256:") + hex;
    const Row rows[] = {
        {"127.0.0.1:5000/lab/app:1", "http://127.0.0.1:5000/v2/lab/app/manifests/1", "lab/app", "1"},
        {"localhost/app", "http://localhost/v2/app/manifests/latest", "app", "latest"},
        {"[::1]:5000/app:x", "http://[::1]:5000/v2/app/manifests/x", "app", "x"},
        {"registry.example/team/app:1", "https://registry.example/v2/team/app/manifests/1", "team/app", "1"},
        {"127.0.0.1:5000/app@" + digest, "http://127.0.0.1:5000/v2/app/manifests/" + digest, "app", digest},
        {"127.0.0.1:5000/app:1@" + digest, "http://127.0.0.1:5000/v2/app/manifests/" + digest, "app", digest},
        {"http://127.0.0.1:5000/v2/docker.io/library/alpine/manifests/3",
         "http://127.0.0.1:5000/v2/docker.io/library/alpine/manifests/3", "docker.io/library/alpine", "3"},
        {"https://h.example/v2/a/manifests/" + digest, "https://h.example/v2/a/manifests/" + digest, "a", digest},
        {"http://127.0.0.1/v2/a/blobs/" + digest, "http://127.0.0.1/v2/a/blobs/" + digest, "", ""},
        {"http://127.0.0.1/v2/", "http://127.0.0.1/v2/", "", ""},
        {"http://127.0.0.1:80", "http://127.0.0.1/", "", ""},
        {"http://127.0.0.1/some/file?x=1", "http://127.0.0.1/some/file?x=1", "", ""},
    };
    for (const auto& row : rows) {
        auto target = good(row.text);
        CAPTURE(row.text);
        CHECK(target.text == row.text);
        CHECK(target.url.text() == row.url);
        CHECK(target.is_image == !row.repository.empty());
        CHECK(target.repository == row.repository);
        CHECK(target.reference == row.reference);
    }
}

TEST_CASE("target: habits decide what a text leaves open") {
    TargetHabits habits;
    habits.plain_http = true;
    CHECK(good("registry.example/app:1", habits).url.origin.scheme == "http");
    habits = {};
    habits.tls = true;
    CHECK(good("127.0.0.1:5000/app:1", habits).url.origin.scheme == "https");
    habits = {};
    habits.as_url = true;
    CHECK(!good("http://127.0.0.1/v2/a/manifests/1", habits).is_image);
    CHECK(good("127.0.0.1:5000/app:1", habits).is_image);
}

TEST_CASE("target: ns is added to registry requests that bring none") {
    TargetHabits habits;
    habits.ns = "upstream.test:5000";
    auto image = good("127.0.0.1:5000/lab/app:1", habits);
    CHECK(image.url.query == "ns=upstream.test%3A5000");
    CHECK(image.ns == "upstream.test:5000");
    CHECK(good("http://127.0.0.1/v2/a/manifests/1?ns=docker.io", habits).ns == "docker.io");
    CHECK(good("http://127.0.0.1/file", habits).url.query == "");
}

TEST_CASE("target: a path with a digest promises it") {
    auto blob = good(std::string("http://127.0.0.1/v2/a/blobs/sha256:") + hex);
    REQUIRE(blob.digest);
    CHECK(blob.digest->hex() == hex);
    CHECK(!good("http://127.0.0.1/v2/a/manifests/1").digest);
}

TEST_CASE("target: nobody is guessed at") {
    for (const char* text : {"alpine", "library/alpine:3", "", "/app", "ftp://127.0.0.1/x", "http://user@127.0.0.1/", "http://",
                             "127.0.0.1:5000/", "127.0.0.1:5000/UPPER:1", "127.0.0.1:5000/app:", "127.0.0.1:5000/app@sha256:12",
                             "127.0.0.1:99999/app:1", "http://127.0.0.1/#part"}) {
        CAPTURE(text);
        CHECK(!parse_target(text, {}));
    }
}
