#include "upstream/tokens.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("tokens: orders are told apart by upstream, credential, realm and query") {
    UpstreamSpec hub, quay;
    hub.login_server = "docker.io";
    quay.login_server = "quay.io";
    // The same set, replaced by the operator: what the old one was given is not the new one's.
    auto one = Credential::make({.name = "set"}), two = Credential::make({.name = "set"});
    auto key = [](const UpstreamSpec& spec, CredentialPointer credential, std::string_view url) {
        TokenOrder order;
        order.upstream = &spec;
        order.credential = credential;
        order.url = *parse_url(url);
        return order.key();
    };
    const char* plain = "https://a.test/t?service=s&scope=x";
    auto base = key(hub, one, plain);
    CHECK(key(hub, one, plain) == base);
    CHECK(key(quay, one, plain) != base);
    CHECK(key(hub, two, plain) != base);
    CHECK(key(hub, nullptr, plain) != base);
    CHECK(key(hub, one, "https://a.test/t?service=s&scope=y") != base);
    CHECK(key(hub, one, "https://a.test/t?service=z&scope=x") != base);
    CHECK(key(hub, one, "https://b.test/t?service=s&scope=x") != base);
}
