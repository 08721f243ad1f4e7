#include "entrepot/http/token.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

/// The URL that a challenge makes us ask for, or "".
std::string asked_for(std::string_view challenge, std::string_view scope = "repository:library/alpine:pull") {
    auto challenges = parse_challenges(FieldValues(&challenge, 1));
    auto* bearer = find_challenge(challenges, "bearer");
    auto url = bearer ? token_url(*bearer, scope) : std::nullopt;
    return url ? url->text() : std::string();
}

}  // namespace

TEST_CASE("token: the challenge of each known registry leads to its token request") {
    struct Row {
        const char* registry;
        const char* challenge;
        const char* url;
    };
    const Row rows[] = {
        {"docker.io", R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io")",
         "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"docker.io with a scope",
         R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull")",
         "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"public.ecr.aws", R"(Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws")",
         "https://public.ecr.aws/token/?service=public.ecr.aws&scope=aws"},
        {"ghcr.io", R"(Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:library/alpine:pull")",
         "https://ghcr.io/token?service=ghcr.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"nvcr.io", R"(Bearer realm="https://nvcr.io/proxy_auth?scope=repository:nvidia/x:pull,push")",
         "https://nvcr.io/proxy_auth?scope=repository:nvidia/x:pull,push"},
        {"quay.io", R"(Bearer realm="https://quay.io/v2/auth",service="quay.io")",
         "https://quay.io/v2/auth?service=quay.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"quay.io, two schemes in a line", R"(Basic realm="quay.io", Bearer realm="https://quay.io/v2/auth",service="quay.io")",
         "https://quay.io/v2/auth?service=quay.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"gcr.io, unquoted", R"(Bearer realm="https://gcr.io/v2/token",service=gcr.io)",
         "https://gcr.io/v2/token?service=gcr.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"pkg.dev, no service", R"(Bearer realm="https://europe-docker.pkg.dev/v2/token")",
         "https://europe-docker.pkg.dev/v2/token?scope=repository%3Alibrary%2Falpine%3Apull"},
        {"azurecr.io", R"(Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io")",
         "https://r.azurecr.io/oauth2/token?service=r.azurecr.io&scope=repository%3Alibrary%2Falpine%3Apull"},
        {"registry.gitlab.com",
         R"(Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:g/p:pull")",
         "https://gitlab.com/jwt/auth?service=container_registry&scope=repository%3Ag%2Fp%3Apull"},
        {"a realm with a query and a scope beside it",
         R"(Bearer realm="https://r.test/auth?account=x&scope=old",service="s",scope="repository:a:pull")",
         "https://r.test/auth?account=x&service=s&scope=repository%3Aa%3Apull"},
        {"an error beside it",
         R"(Bearer realm="https://r.test/t",service="s",scope="repository:a:pull,push",error="insufficient_scope")",
         "https://r.test/t?service=s&scope=repository%3Aa%3Apull%2Cpush"},
        {"an empty scope", R"(Bearer realm="https://r.test/t",scope="")",
         "https://r.test/t?scope=repository%3Alibrary%2Falpine%3Apull"},
        {"values that would break a URL", R"(Bearer realm="https://r.test/t",service="a&b=c d",scope="x y")",
         "https://r.test/t?service=a%26b%3Dc%20d&scope=x%20y"},
    };
    for (auto& row : rows) {
        CAPTURE(std::string(row.registry));
        CHECK(asked_for(row.challenge) == row.url);
    }
}

TEST_CASE("token: a realm that is no http URL leads nowhere") {
    for (const char* realm : {"", "/token", "//evil.test/token", "javascript:alert(1)", "file:///etc/passwd", "ftp://r.test/",
                              "https://good@evil.test/", "https://", "https://r.test:0/", "https://r.test:99999/",
                              "https://r.test/a b", "https://[::1/", "https://good.test\\\\@evil.test/", "http://r.test/#f"}) {
        CAPTURE(std::string(realm));
        CHECK(asked_for(std::string("Bearer realm=\"") + realm + "\",service=\"s\"") == "");
    }
    CHECK(asked_for("Bearer service=\"s\"") == "");
    CHECK(asked_for("Bearer") == "");
    CHECK(asked_for("Basic realm=\"https://r.test/\"") == "");
}

TEST_CASE("token: the document in all its forms") {
    struct Row {
        const char* json;
        const char* token;  // null: none
        Duration life;
    };
    const Row rows[] = {
        {R"({"token":"t"})", "t", 60s},
        {R"({"access_token":"a"})", "a", 60s},
        {R"({"token":"t","access_token":"a","expires_in":300,"issued_at":"2024-01-01T00:00:00Z"})", "t", 300s},
        {R"({"token":"","access_token":"a"})", "a", 60s},
        {R"({"token":null,"access_token":"a","expires_in":300})", "a", 300s},
        {R"({"token":"t","expires_in":0})", "t", 60s},
        {R"({"token":"t","expires_in":-5})", "t", 60s},
        {R"({"token":"t","expires_in":"300"})", "t", 60s},
        {R"({"token":"t","expires_in":1.5})", "t", 60s},
        {R"({"token":"t","expires_in":99999999})", "t", 3600s},
        {R"({"token":"t","expires_in":18446744073709551615})", "t", 3600s},
        {R"({"token":"t","expires_in":-9223372036854775808})", "t", 60s},
        {R"({"token":"t","expires_in":1e300})", "t", 60s},
        {R"({"token":"a.b-c_d~e+f/g=="})", "a.b-c_d~e+f/g==", 60s},
        {R"({})", nullptr, 0s},
        {R"([])", nullptr, 0s},
        {R"("token")", nullptr, 0s},
        {"", nullptr, 0s},
        {"<html>", nullptr, 0s},
        {R"({"token":5})", nullptr, 0s},
        {R"({"token":"a\r\nX-Evil: 1"})", nullptr, 0s},
        {R"({"token":"a b"})", nullptr, 0s},
        {R"({"token":"a\u0000"})", nullptr, 0s},
        {R"({"token":"ä"})", nullptr, 0s},
        {R"({"token":"t"} trailing)", nullptr, 0s},
        {R"({"token":"t")", nullptr, 0s},
    };
    for (auto& row : rows) {
        CAPTURE(std::string(row.json));
        auto document = parse_token_document(row.json);
        CHECK(document.has_value() == (row.token != nullptr));
        if (!document || !row.token) continue;
        CHECK(document->token == row.token);
        CHECK(document->life == row.life);
    }
    auto quoted = [](std::size_t bytes) { return "{\"token\":\"" + std::string(bytes, 'x') + "\"}"; };
    CHECK(parse_token_document(quoted(16 * 1024)));
    CHECK(!parse_token_document(quoted(16 * 1024 + 1)));
    CHECK(!parse_token_document(std::string(64 * 1024, '[')));
}
