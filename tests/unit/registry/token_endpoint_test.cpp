#include "registry/token_endpoint.h"

#include "entrepot/registry/routing.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("token endpoint: a scope's repositories are those to pull, each once, and at most so many") {
    using Names = std::vector<std::string>;
    CHECK(repositories_in("repository:hub/app:pull") == Names{"hub/app"});
    CHECK(repositories_in("repository:hub/app:push,pull repository:team/tool:* repository:hub/app:pull") ==
          Names{"hub/app", "team/tool"});
    CHECK(repositories_in("  repository:hub/app:pull  ") == Names{"hub/app"});
    for (auto none : {"", " ", "registry:catalog:*", "repository:hub/app:push", "repository:hub/app", "repository::pull",
                      "repository:Hub/App:pull", "repository:../x:pull", "repository(plugin):hub/app:pull",
                      "repository:hub/app:pullx", "repository:hub/app:", ":", "::", "repository:a:b:pull"})
        CHECK(repositories_in(none).empty());
    std::string many;
    for (std::size_t i = 0; i < 2 * token_repositories_max; ++i) many += " repository:r" + std::to_string(i) + ":pull";
    CHECK(repositories_in(many).size() == token_repositories_max);
}

TEST_CASE("routing: our name of a repository is the rule's target with what the wildcard stands for") {
    auto rule = [](std::string source, std::string target) {
        RuleText text;
        text.name = "rule";
        text.source = std::move(source);
        text.target = std::move(target);
        return *CacheRule::parse(text);
    };
    CHECK(target_repository(rule("ghcr.io/*", "hub/*"), "owner/app") == "hub/owner/app");
    CHECK(target_repository(rule("ghcr.io/owner/*", "hub/*"), "owner/app") == "hub/app");
    CHECK(target_repository(rule("ghcr.io/owner/*", "*"), "owner/app") == "app");
    CHECK(target_repository(rule("ghcr.io/owner/app", "mine"), "owner/app") == "mine");
}
