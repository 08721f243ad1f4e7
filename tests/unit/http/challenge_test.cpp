#include "entrepot/http/challenge.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {

// "bearer realm=<https://a> service=<x>; basic realm=<y>; negotiate [abc=]": what was understood, in one line.
std::string read_lines(const std::vector<std::string_view>& lines) {
    std::string text;
    for (const Challenge& challenge : parse_challenges(lines)) {
        if (!text.empty()) text += "; ";
        text += challenge.scheme;
        if (!challenge.token68.empty()) text += " [" + challenge.token68 + "]";
        for (const auto& [name, value] : challenge.params) text += " " + name + "=<" + value + ">";
    }
    return text;
}
std::string read(std::string_view line) { return read_lines({line}); }

struct Row {
    const char* who;
    std::string_view line;
    std::string_view expected;
};

void check_rows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(row.who);
        CHECK(read(row.line) == row.expected);
    }
}

}  // namespace

TEST_CASE("challenge: as the public registries write them") {
    check_rows({
        {"Docker Hub", R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io")",
         "bearer realm=<https://auth.docker.io/token> service=<registry.docker.io>"},
        {"Docker Hub, with scope",
         R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull")",
         "bearer realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:library/alpine:pull>"},
        {"Docker Hub, refused",
         R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull",error="insufficient_scope")",
         "bearer realm=<https://auth.docker.io/token> service=<registry.docker.io> scope=<repository:a/b:pull> "
         "error=<insufficient_scope>"},
        {"ECR Public", R"(Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws")",
         "bearer realm=<https://public.ecr.aws/token/> service=<public.ecr.aws> scope=<aws>"},
        {"ECR private", R"(Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com")",
         "basic realm=<https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/> service=<ecr.amazonaws.com>"},
        {"GHCR", R"(Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull")",
         "bearer realm=<https://ghcr.io/token> service=<ghcr.io> scope=<repository:user/image:pull>"},
        {"NVIDIA", R"(Bearer realm="https://nvcr.io/proxy_auth?scope=repository:nvidia/x:pull,push")",
         "bearer realm=<https://nvcr.io/proxy_auth?scope=repository:nvidia/x:pull,push>"},
        {"Quay", R"(Bearer realm="https://quay.io/v2/auth",service="quay.io")",
         "bearer realm=<https://quay.io/v2/auth> service=<quay.io>"},
        {"Quay, two schemes", R"(Basic realm="quay.io", Bearer realm="https://quay.io/v2/auth",service="quay.io")",
         "basic realm=<quay.io>; bearer realm=<https://quay.io/v2/auth> service=<quay.io>"},
        {"GCR", R"(Bearer realm="https://gcr.io/v2/token",service=gcr.io)",
         "bearer realm=<https://gcr.io/v2/token> service=<gcr.io>"},
        {"Artifact Registry", R"(Bearer realm="https://europe-docker.pkg.dev/v2/token")",
         "bearer realm=<https://europe-docker.pkg.dev/v2/token>"},
        {"ACR", R"(Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io")",
         "bearer realm=<https://r.azurecr.io/oauth2/token> service=<r.azurecr.io>"},
        {"GitLab",
         R"(Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:a/b/c:pull",error="invalid_token")",
         "bearer realm=<https://gitlab.com/jwt/auth> service=<container_registry> scope=<repository:a/b/c:pull> "
         "error=<invalid_token>"},
        {"docker-registry with htpasswd", R"(Basic realm="Registry Realm")", "basic realm=<Registry Realm>"},
    });
}

TEST_CASE("challenge: several on one line, and on several lines") {
    check_rows({
        {"bare schemes", "Negotiate, NTLM", "negotiate; ntlm"},
        {"bare scheme first", R"(Negotiate, Basic realm="a")", "negotiate; basic realm=<a>"},
        {"token68 first", R"(Negotiate YWJj==, Bearer realm="a")", "negotiate [YWJj==]; bearer realm=<a>"},
        {"token68 last", R"(Basic realm="a", Negotiate a/b+c)", "basic realm=<a>; negotiate [a/b+c]"},
        {"three", R"(Basic realm="a", Bearer realm="b", scope="c", Digest qop="auth")",
         "basic realm=<a>; bearer realm=<b> scope=<c>; digest qop=<auth>"},
        {"comma missing between challenges", R"(Basic realm="a" Bearer realm="b")", "basic realm=<a>; bearer realm=<b>"},
        {"scheme behind scheme", R"(Negotiate Bearer realm="b")", "negotiate; bearer realm=<b>"},
    });
    CHECK(read_lines({R"(Basic realm="a")", R"(Bearer realm="b",service="c")"}) ==
          "basic realm=<a>; bearer realm=<b> service=<c>");
    CHECK(read_lines({R"(Bearer realm="a")", R"(service="stray")"}) == "bearer realm=<a>");
    CHECK(read_lines({}).empty());
}

TEST_CASE("challenge: parameters in all the ways they are written") {
    check_rows({
        {"commas missing", R"(Bearer realm="a" service="b" scope="c")", "bearer realm=<a> service=<b> scope=<c>"},
        {"all bare", "Bearer realm=https://a/token?x=y,service=b", "bearer realm=<https://a/token?x=y> service=<b>"},
        {"bare and spaced", "Bearer realm=https://a/token , service=b", "bearer realm=<https://a/token> service=<b>"},
        {"blanks around =", R"(Bearer realm = "a" , service= b)", "bearer realm=<a> service=<b>"},
        {"names in capitals", R"(BEARER Realm="A",SERVICE="B")", "bearer realm=<A> service=<B>"},
        {"escaped quotes", R"(Basic realm="say \"hi\" \\ there")", R"(basic realm=<say "hi" \ there>)"},
        {"commas and equals in quotes", R"(Bearer realm="a,b=c, Basic realm=d",service="e")",
         "bearer realm=<a,b=c, Basic realm=d> service=<e>"},
        {"empty quoted value", R"(Bearer realm="",service="b")", "bearer realm=<> service=<b>"},
        {"no blank behind the comma", R"(Bearer realm="a",service="b",scope="c")", "bearer realm=<a> service=<b> scope=<c>"},
        {"many commas", R"(,, Bearer ,realm="a",, ,service="b",)", "bearer realm=<a> service=<b>"},
        {"tabs", "Bearer\trealm=\"a\",\tservice=\"b\"", "bearer realm=<a> service=<b>"},
        {"scope with two actions, bare", "Bearer realm=\"a\",scope=repository:x:pull,push",
         "bearer realm=<a> scope=<repository:x:pull>; push"},
        {"scope asks for two things", R"(Bearer realm="a",scope="repository:x:pull repository:y:pull,push")",
         "bearer realm=<a> scope=<repository:x:pull repository:y:pull,push>"},
    });
}

TEST_CASE("challenge: what cannot be understood is left out") {
    check_rows({
        {"empty", "", ""},
        {"only commas", " , ,, ", ""},
        {"parameter without scheme", R"(realm="a")", ""},
        {"quote that does not end", R"(Bearer service="b",realm="https://a)", "bearer service=<b>"},
        {"quote that ends in a backslash", "Bearer service=\"b\",realm=\"a\\", "bearer service=<b>"},
        {"stray quote", R"(Bearer "x" realm="a")", "bearer realm=<a>"},
        {"junk between", R"(Bearer realm="a", @@@, service="b")", "bearer realm=<a> service=<b>"},
        {"a scheme that looks like a parameter", "Bearer = , realm=a", ""},
        {"binary", "\x80\xff, Bearer realm=a", "bearer realm=<a>"},
    });
}

TEST_CASE("challenge: look-up by lower-case name, first wins") {
    const std::vector<std::string_view> lines = {R"(Basic realm="a", BEARER Realm="b",realm="c",SCOPE=d, Bearer realm="e")"};
    const auto challenges = parse_challenges(lines);
    const Challenge* bearer = find_challenge(challenges, "bearer");
    REQUIRE(bearer != nullptr);
    CHECK(bearer->param("realm") == "b");
    CHECK(bearer->param("scope") == "d");
    CHECK_FALSE(bearer->param("service").has_value());
    CHECK(find_challenge(challenges, "digest") == nullptr);
}

TEST_CASE("challenge: each bound is kept, and what lies past it is ignored") {
    std::string many;
    for (std::size_t i = 0; i < challenges_max + 4; ++i) many += "S" + std::to_string(i) + " a=b,";
    const std::vector<std::string_view> many_lines = {many, "Bearer realm=x"};
    const auto challenges = parse_challenges(many_lines);
    REQUIRE(challenges.size() == challenges_max);
    CHECK(challenges.back().scheme == "s15");
    CHECK(challenges.back().params.size() == 1);

    std::string params = "Bearer ";
    for (std::size_t i = 0; i < challenge_params_max + 4; ++i) params += "p" + std::to_string(i) + "=v,";
    const std::vector<std::string_view> params_line = {params};
    CHECK(parse_challenges(params_line)[0].params.size() == challenge_params_max);

    const std::string start = "Bearer realm=";
    const std::string longest = start + std::string(challenge_bytes_max - start.size(), 'x');
    CHECK(parse_challenges(std::vector<std::string_view>{longest}).size() == 1);
    CHECK(parse_challenges(std::vector<std::string_view>{longest + "x"}).empty());
    CHECK(parse_challenges(std::vector<std::string_view>{longest, "Basic"}).size() == 1);
}
