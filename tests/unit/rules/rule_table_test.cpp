#include "entrepot/rules/rule_table.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {

RuleText rule(std::string name, std::string target, std::string source) {
    RuleText text;
    text.name = std::move(name);
    text.target = std::move(target);
    text.source = std::move(source);
    return text;
}
RuleTable table_of(std::vector<RuleText> rules, RuleTable::Options options = {}) {
    auto table = RuleTable::build(std::move(rules), std::move(options));
    if (!table) FAIL(table.error().message);
    return std::move(*table);
}
RuleRefusal refusal_of(std::vector<RuleText> rules, RuleTable::Options options = {}) {
    auto table = RuleTable::build(std::move(rules), std::move(options));
    return table ? RuleRefusal{.message = "none"} : table.error();
}
// "rule style login_server/repository", or "none".
std::string route_of(const RuleTable& table, std::string_view repository, std::string_view ns = "") {
    RouteBuffer buffer;
    const auto route = table.find(repository, ns, buffer);
    if (!route) return "none";
    const char* const style = route->style == RouteStyle::target         ? "target"
                              : route->style == RouteStyle::login_server ? "ns"
                                                                         : "default";
    CHECK(is_repository(route->repository));
    CHECK(route->login_server == route->rule->login_server());
    return fmt::format("{} {} {}/{}", route->rule->name(), style, route->login_server, route->repository);
}

}  // namespace

// The rows of the table are numbered as in Azure's observed behaviour; what concerns credentials, repositories that exist already and
// managed identities (8, 9, 13, 15, 16) has no counterpart here: targets hold nothing, and any login server may be a source.
TEST_CASE("rule table: what may stand beside what, and what the refusal says") {
    struct {
        int row;
        RuleText first, second;
        std::string says;
    } const rows[] = {
        {1, rule("all", "*", "mcr.microsoft.com/*"), rule("lib", "library/*", "docker.io/library/*"),
         "cache rule \"lib\" (docker.io/library/* => library/*) lies inside the wildcard of cache rule \"all\" (mcr.microsoft.com/* => *); "
         "wildcards must not overlap: choose another target for one of them, or name single repositories"},
        {2, rule("lib", "library/*", "mcr.microsoft.com/library/*"),
         rule("net", "library/dotnet/*", "docker.io/library/dotnet/*"),
         "cache rule \"net\" (docker.io/library/dotnet/* => library/dotnet/*) lies inside the wildcard of cache rule \"lib\" "
         "(mcr.microsoft.com/library/* => library/*); wildcards must not overlap: choose another target for one of them, or name single repositories"},
        {3, rule("all", "*", "mcr.microsoft.com/*"), rule("too", "*", "docker.io/library/*"),
         "cache rule \"too\" (docker.io/library/* => *) has the same target as cache rule \"all\" (mcr.microsoft.com/* => *); "
         "give it another target, or delete \"all\""},
        {4, rule("all", "*", "mcr.microsoft.com/*"), rule("net", "library/dotnet", "docker.io/library/dotnet"), "none"},
        {5, rule("a", "app", "docker.io/library/app"), rule("b", "app", "quay.io/app"),
         "cache rule \"b\" (quay.io/app => app) has the same target as cache rule \"a\" (docker.io/library/app => app); "
         "give it another target, or delete \"a\""},
        {5, rule("a", "app", "quay.io/app"), rule("b", "app", "quay.io/app"),
         "cache rule \"b\" (quay.io/app => app) has the same target as cache rule \"a\" (quay.io/app => app); "
         "give it another target, or delete \"a\""},
        {6, rule("net", "library/dotnet/*", "mcr.microsoft.com/dotnet/*"), rule("py", "library/python/*", "docker.io/library/*"),
         "none"},
        {7, rule("net", "library/dotnet", "mcr.microsoft.com/dotnet"), rule("all", "*", "docker.io/*"), "none"},
        {7, rule("net", "library/dotnet", "mcr.microsoft.com/dotnet"), rule("lib", "library/*", "docker.io/library/*"), "none"},
        {10, rule("a", "a/*", "docker.io/*"), rule("b", "b/*", "docker.io/*"), "none"},
        {11, rule("a", "a/*", "quay.io/a/*"), rule("all", "*", "mcr.microsoft.com/*"),
         "cache rule \"a\" (quay.io/a/* => a/*) lies inside the wildcard of cache rule \"all\" (mcr.microsoft.com/* => *); "
         "wildcards must not overlap: choose another target for one of them, or name single repositories"},
        {14, rule("a", "a", "docker.io/library/ubuntu:22.04"), rule("b", "b", "docker.io/b"),
         "cache rule \"a\": source \"docker.io/library/ubuntu:22.04\" names a tag, a digest or a port; a rule covers whole repositories"},
        {14, rule("a", "a", "quay.io/a"), rule("b", "B", "quay.io/b"),
         "cache rule \"b\": target \"B\" has capital letters, which repository names do not have"},
        {17, rule("hub", "a/*", "docker.io/*"), rule("hub", "b/*", "quay.io/*"),
         "two cache rules are named \"hub\": docker.io/* => a/*, and quay.io/* => b/*; rename one or delete one"},
        {0, rule("a", "ab/*", "quay.io/*"), rule("b", "a/*", "ghcr.io/*"), "none"},  // a common prefix of text is no overlap
        {0, rule("a", "a", "quay.io/a"), rule("b", "a/*", "ghcr.io/*"), "none"},     // a/* does not cover a
        {0, rule("a", "a/*", "quay.io/*"), rule("b", "a/b/c/d/*", "ghcr.io/*"),
         "cache rule \"b\" (ghcr.io/* => a/b/c/d/*) lies inside the wildcard of cache rule \"a\" (quay.io/* => a/*); "
         "wildcards must not overlap: choose another target for one of them, or name single repositories"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.row);
        CHECK(refusal_of({row.first, row.second}).message == row.says);
    }
}

TEST_CASE("rule table: a refusal points at the later rule and the one it conflicts with") {
    const RuleText other = rule("o", "o", "quay.io/o"), inner = rule("i", "a/*", "quay.io/*"),
                   outer = rule("w", "*", "ghcr.io/*");
    for (const auto& rules : {std::vector{inner, other, outer}, std::vector{outer, other, inner}}) {
        const RuleRefusal refusal = refusal_of(rules);
        CHECK(refusal.rule == 2);
        CHECK(refusal.other == 0u);
    }
    CHECK(refusal_of({other, rule("x", "x", "x")}).rule == 1);
    CHECK_FALSE(refusal_of({other, rule("x", "x", "x")}).other);
    CHECK(refusal_of({other, inner, rule("o", "p", "quay.io/p")}).other == 0u);
}

TEST_CASE("rule table: strict overlap refuses a static rule inside a wildcard too, whichever came first") {
    const RuleText wide = rule("all", "*", "mcr.microsoft.com/*"),
                   one = rule("net", "library/dotnet", "docker.io/library/dotnet");
    const std::string says =
        "cache rule \"net\" (docker.io/library/dotnet => library/dotnet) lies inside the wildcard of cache rule \"all\" "
        "(mcr.microsoft.com/* => *); strict_overlap allows no overlap at all: choose another target for one of them, or turn strict_overlap off";
    CHECK(refusal_of({wide, one}, {.strict_overlap = true}).message == says);
    CHECK(refusal_of({one, wide}, {.strict_overlap = true}).message == says);
    CHECK(refusal_of({rule("a", "a", "quay.io/a"), rule("b", "a/*", "quay.io/*")}, {.strict_overlap = true}).message == "none");
}

TEST_CASE("rule table: the limit is a limit (row 12)") {
    std::vector<RuleText> rules;
    for (int i = 0; i < 1000; ++i) rules.push_back(rule(fmt::format("r{}", i), fmt::format("t{}/*", i), "docker.io/*"));
    CHECK(refusal_of(rules, {.rules_max = 1000}).message == "none");
    rules.push_back(rule("last", "last/*", "docker.io/*"));
    CHECK(refusal_of(rules, {.rules_max = 1000}).message ==
          "1001 cache rules are more than the limit of 1000; delete some, or raise rules_max (up to 1000000)");
    CHECK(refusal_of(rules).message == "none");
    CHECK(RuleTable::Options().rules_max == 100'000);
}

TEST_CASE("rule table: paths find rules by target, exact before wildcard") {
    const RuleTable table = table_of(
        {rule("mcr", "library/dotnet/*", "mcr.microsoft.com/dotnet/*"),
         rule("python", "library/python", "docker.io/library/python"), rule("py", "library/python/*", "quay.io/python/*"),
         rule("hub", "docker.io/*", "docker.io/*"), rule("one", "docker.io/special", "ghcr.io/special"),
         rule("deep", "a/b/c/d/*", "quay.io/z/*"), rule("lib", "official/*", "docker.io/library/*")});
    struct {
        std::string path, route;
    } const rows[] = {
        {"library/dotnet/app1", "mcr target mcr.microsoft.com/dotnet/app1"},
        {"library/dotnet/a/b", "mcr target mcr.microsoft.com/dotnet/a/b"},
        {"library/python", "python target docker.io/library/python"},
        {"library/python/x", "py target quay.io/python/x"},
        {"docker.io/library/alpine", "hub target docker.io/library/alpine"},
        {"docker.io/alpine", "hub target docker.io/library/alpine"},  // a single component on Docker Hub is an official image
        {"docker.io/special", "one target ghcr.io/special"},          // exact beats wildcard
        {"docker.io/special/x", "hub target docker.io/special/x"},
        {"a/b/c/d/e/f", "deep target quay.io/z/e/f"},
        {"official/alpine", "lib target docker.io/library/alpine"},
        {"official/someone/app", "lib target docker.io/library/someone/app"},  // by its word: see cache_rule.h
        // no target covers these: they belong to docker.io, where the rule with the longest source covers them
        {"library/dotnet", "lib default docker.io/library/dotnet"},
        {"alpine", "lib default docker.io/library/alpine"},
        {"a/b/c/d", "hub default docker.io/a/b/c/d"},
        {"someone/app", "hub default docker.io/someone/app"},
        {"official", "lib default docker.io/library/official"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.path);
        CHECK(route_of(table, row.path) == row.route);
    }
}

TEST_CASE("rule table: the widest wildcard takes every path that no exact rule takes") {
    const RuleTable table =
        table_of({rule("all", "*", "mcr.microsoft.com/*"), rule("net", "library/dotnet", "docker.io/library/dotnet")});
    CHECK(route_of(table, "myapp/image1") == "all target mcr.microsoft.com/myapp/image1");
    CHECK(route_of(table, "x") == "all target mcr.microsoft.com/x");
    CHECK(route_of(table, "library/dotnet") == "net target docker.io/library/dotnet");
    CHECK(route_of(table, "library/dotnet/x") == "all target mcr.microsoft.com/library/dotnet/x");
}

TEST_CASE("rule table: ns selects by target on that server, else by source, and opens nothing by itself") {
    const RuleTable table =
        table_of({rule("hub", "hub/*", "docker.io/*"), rule("quay", "quay.io/*", "quay.io/*"),
                  rule("lib", "library/*", "mcr.microsoft.com/*"), rule("one", "one", "ghcr.io/owner/one"),
                  rule("team", "team/*", "ghcr.io/team/*"), rule("special", "hub/special", "quay.io/special")});
    struct {
        std::string ns, path, route;
    } const rows[] = {
        // containerd: the upstream's own path
        {"docker.io", "library/alpine", "hub ns docker.io/library/alpine"},  // the target library/* is on another server
        {"docker.io", "alpine", "hub ns docker.io/library/alpine"},
        {"index.docker.io", "library/alpine", "hub ns docker.io/library/alpine"},
        {"registry-1.docker.io", "someone/app", "hub ns docker.io/someone/app"},
        {"mcr.microsoft.com", "dotnet/sdk", "lib ns mcr.microsoft.com/dotnet/sdk"},
        {"ghcr.io", "owner/one", "one ns ghcr.io/owner/one"},
        {"ghcr.io", "team/app", "team target ghcr.io/team/app"},
        // BuildKit: the target's path and ns
        {"docker.io", "hub/library/alpine", "hub target docker.io/library/alpine"},
        {"docker.io", "hub/alpine", "hub target docker.io/library/alpine"},
        {"quay.io", "quay.io/org/app", "quay target quay.io/org/app"},
        {"ghcr.io", "one", "one target ghcr.io/owner/one"},
        {"mcr.microsoft.com", "library/dotnet", "lib target mcr.microsoft.com/dotnet"},
        // an exact target on another server gives way to the wildcard on this one
        {"docker.io", "hub/special", "hub target docker.io/library/special"},
        {"quay.io", "hub/special", "special target quay.io/special"},
        // what no rule allows
        {"ghcr.io", "owner/two", "none"},
        {"ghcr.io", "owner/one/x", "none"},
        {"ghcr.io", "team", "none"},
        {"example.com", "library/alpine", "none"},
        {"example.com", "hub/library/alpine", "none"},
        {"docker.io:5000", "library/alpine", "none"},
        {"169.254.169.254", "latest/meta-data", "none"},
        {"localhost:5000", "quay.io/org/app", "none"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.ns);
        CAPTURE(row.path);
        CHECK(route_of(table, row.path, row.ns) == row.route);
    }
}

TEST_CASE("rule table: of sources that cover a name the longest wins, of equal ones the one-to-one rule, then the first") {
    const RuleTable table =
        table_of({rule("first", "a/*", "quay.io/*"), rule("second", "b/*", "quay.io/*"), rule("org", "c/*", "quay.io/org/*"),
                  rule("app", "d", "quay.io/org/app"), rule("other", "x/*", "ghcr.io/*"), rule("same", "ghcr.io/*", "ghcr.io/*"),
                  rule("late", "y/*", "ghcr.io/*")});
    CHECK(route_of(table, "z/z", "quay.io") == "first ns quay.io/z/z");
    CHECK(route_of(table, "org/z", "quay.io") == "org ns quay.io/org/z");
    CHECK(route_of(table, "org/z/z", "quay.io") == "org ns quay.io/org/z/z");
    CHECK(route_of(table, "org/app", "quay.io") == "app ns quay.io/org/app");
    CHECK(route_of(table, "org", "quay.io") == "first ns quay.io/org");
    CHECK(route_of(table, "z", "ghcr.io") == "same ns ghcr.io/z");
    REQUIRE(table.warnings().size() == 3);
    CHECK(table.warnings()[0] ==
          "cache rules \"first\" (quay.io/* => a/*) and \"second\" (quay.io/* => b/*) have one source: "
          "requests that name the login server and no target use \"first\"");
    CHECK(table.warnings()[1].ends_with("use \"same\""));
    CHECK(table.warnings()[2].ends_with("use \"same\""));
}

TEST_CASE("rule table: the root style belongs to the default login server") {
    const std::vector<RuleText> rules{rule("hub", "docker.io/*", "docker.io/*"), rule("quay", "quay.io/*", "quay.io/*")};
    const RuleTable hub = table_of(rules);
    CHECK(route_of(hub, "library/alpine") == "hub default docker.io/library/alpine");
    CHECK(route_of(hub, "alpine") == "hub default docker.io/library/alpine");
    CHECK(route_of(hub, "quay.io/org/app") == "quay target quay.io/org/app");
    // no owner on Docker Hub has a dot in its name, so this asks for a registry that no rule covers
    CHECK(route_of(hub, "ghcr.io/owner/app") == "none");
    CHECK(route_of(hub, "localhost/app") == "none");

    const RuleTable quay = table_of(rules, {.default_login_server = "quay.io"});
    CHECK(route_of(quay, "org/app") == "quay default quay.io/org/app");
    CHECK(route_of(quay, "my.org/app") == "quay default quay.io/my.org/app");
    CHECK(route_of(table_of(rules, {.default_login_server = "ghcr.io"}), "owner/app") == "none");
    CHECK(route_of(table_of(rules, {.default_login_server = ""}), "library/alpine") == "none");
    CHECK(route_of(table_of({}), "library/alpine") == "none");
}

TEST_CASE("rule table: the default rules serve every style of the public registries") {
    const RuleTable table = table_of(default_rules());
    CHECK(table.warnings().empty());
    CHECK(route_of(table, "docker.io/library/alpine") == "docker-io target docker.io/library/alpine");
    CHECK(route_of(table, "docker.io/alpine") == "docker-io target docker.io/library/alpine");
    CHECK(route_of(table, "library/alpine") == "docker-io default docker.io/library/alpine");
    CHECK(route_of(table, "library/alpine", "docker.io") == "docker-io ns docker.io/library/alpine");
    CHECK(route_of(table, "registry.k8s.io/pause") == "registry-k8s-io target registry.k8s.io/pause");
    CHECK(route_of(table, "pause", "registry.k8s.io") == "registry-k8s-io ns registry.k8s.io/pause");
    CHECK(route_of(table, "dotnet/sdk", "mcr.microsoft.com") == "mcr-microsoft-com ns mcr.microsoft.com/dotnet/sdk");
    CHECK(route_of(table, "us-central1-docker.pkg.dev/p/r/i") ==
          "us-central1-docker-pkg-dev target us-central1-docker.pkg.dev/p/r/i");
    CHECK(route_of(table, "app", "example.com") == "none");
    CHECK(route_of(table, "docker.io") == "none");
}

TEST_CASE("rule table: a mapped name past 255 bytes is no route, not a route elsewhere") {
    const std::string prefix(200, 'p');
    const RuleTable table =
        table_of({rule("long", "t/*", "docker.io/" + prefix + "/*"), rule("hub", "docker.io/*", "docker.io/*")});
    const std::string fits(54, 'r');
    CHECK(route_of(table, "t/" + fits) == "long target docker.io/" + prefix + "/" + fits);
    CHECK(route_of(table, "t/" + fits + "r") == "none");
    CHECK(route_of(table, "t/" + fits + "r", "docker.io") == "none");
    const std::string component(255, 'c');  // and library/ must fit, too
    CHECK(route_of(table, component, "docker.io") == "none");
    CHECK(route_of(table, component.substr(8), "docker.io") == "hub ns docker.io/library/" + component.substr(8));
}

TEST_CASE("rule table: the deepest paths and prefixes there are") {
    std::string components = "a";
    for (int i = 1; i < 128; ++i) components += "/a";  // 255 bytes, 127 slashes
    const std::string prefix = components.substr(0, components.size() - 2);
    const RuleTable table = table_of({rule("deep", prefix + "/*", "quay.io/x/*"), rule("shallow", "b/*", "quay.io/y/*"),
                                      rule("source", "c/*", "quay.io/" + prefix + "/*")});
    CHECK(route_of(table, components) == "deep target quay.io/x/a");
    CHECK(route_of(table, components, "quay.io") == "deep target quay.io/x/a");
    CHECK(route_of(table, "b/" + components.substr(2)) == "shallow target quay.io/y/" + components.substr(2));
    const RuleTable by_source = table_of({rule("source", "c/*", "quay.io/" + prefix + "/*")});
    CHECK(route_of(by_source, components, "quay.io") == "source ns quay.io/" + components);
    CHECK(route_of(by_source, prefix, "quay.io") == "none");
}

TEST_CASE("rule table: a wildcard for official images that is used for all of Docker Hub is worth a warning") {
    const RuleTable table =
        table_of({rule("hub", "docker.io/*", "docker.io/library/*"), rule("lib", "x/library/*", "docker.io/library/*")});
    REQUIRE(table.warnings().size() == 2);
    CHECK(table.warnings()[0].starts_with(
        "cache rule \"hub\" (docker.io/library/* => docker.io/*) reaches Docker's official images only: "
        "docker.io/someone/app would be docker.io/library/someone/app, which does not exist"));
    CHECK(table.warnings()[1].find("have one source") != std::string::npos);
    std::vector<RuleText> many;
    for (int i = 0; i < 500; ++i) many.push_back(rule(fmt::format("r{}", i), fmt::format("t{}/*", i), "quay.io/*"));
    CHECK(table_of(many).warnings().size() == RuleTable::warnings_max);
}

TEST_CASE("rule table: rules are found by name and listed as they came") {
    const RuleTable table = table_of({rule("b", "b", "quay.io/b"), rule("a", "a", "docker.io/a")});
    REQUIRE(table.find_by_name("a"));
    CHECK(table.find_by_name("a")->source() == "docker.io/library/a");
    CHECK_FALSE(table.find_by_name("c"));
    CHECK_FALSE(table.find_by_name(""));
    CHECK(table.rules()[0]->name() == "b");
    CHECK(table.rules().size() == 2);
}

TEST_CASE("rule table: among 100,000 rules each is found, by target and by source") {
    std::vector<RuleText> rules;
    for (int i = 0; i < 50'000; ++i) {
        rules.push_back(
            rule(fmt::format("w{}", i), fmt::format("team{}/x/*", i), fmt::format("reg{}.example/org{}/*", i % 100, i)));
        rules.push_back(
            rule(fmt::format("s{}", i), fmt::format("team{}/x/app", i), fmt::format("reg{}.example/org{}/one", i % 100, i)));
    }
    const RuleTable table = table_of(std::move(rules));
    int found = 0;
    for (int i = 0; i < 50'000; ++i) {
        RouteBuffer buffer;
        const auto wildcard = table.find(fmt::format("team{}/x/y", i), "", buffer);
        const auto exact = table.find(fmt::format("team{}/x/app", i), "", buffer);
        const auto source = table.find(fmt::format("org{}/z/z", i), fmt::format("reg{}.example", i % 100), buffer);
        const auto elsewhere = table.find(fmt::format("org{}/z/z", i), fmt::format("reg{}.example", (i + 1) % 100), buffer);
        found += wildcard && wildcard->rule == table.rules()[2u * static_cast<unsigned>(i)].get();
        found += exact && exact->rule == table.rules()[2u * static_cast<unsigned>(i) + 1].get();
        found += source && source->rule == table.rules()[2u * static_cast<unsigned>(i)].get();
        found += !elsewhere;
    }
    CHECK(found == 200'000);
}
