#include "entrepot/rules/repository_pattern.h"

#include <doctest/doctest.h>

#include <functional>
#include <random>

using namespace entrepot;

namespace {

bool matches(std::string_view pattern, std::string_view repository) {
    auto parsed = RepositoryPattern::parse(pattern);
    REQUIRE_MESSAGE(parsed.has_value(), pattern);
    return parsed->matches(repository);
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts(1);
    for (char letter : text) {
        if (letter == '/') parts.emplace_back();
        else parts.back() += letter;
    }
    return parts;
}

/// The definition, by recursion.
bool matches_by_definition(const std::vector<std::string>& pattern, std::size_t p, const std::vector<std::string>& path,
                           std::size_t r) {
    if (p == pattern.size()) return r == path.size();
    if (pattern[p] == "**") {
        for (std::size_t taken = r; taken <= path.size(); ++taken) {
            if (matches_by_definition(pattern, p + 1, path, taken)) return true;
        }
        return false;
    }
    if (r == path.size()) return false;
    return (pattern[p] == "*" || pattern[p] == path[r]) && matches_by_definition(pattern, p + 1, path, r + 1);
}

}  // namespace

TEST_CASE("repository pattern: whole components, * is one, ** is any number") {
    struct Row {
        std::string_view pattern, repository;
        bool matches;
    };
    const Row rows[] = {
        {"hub/app", "hub/app", true},
        {"hub/app", "hub/app2", false},
        {"hub/app", "hub/app/x", false},
        {"hub/app", "hub", false},
        {"hub", "hub/app", false},
        {"*", "hub", true},
        {"*", "hub/app", false},
        {"**", "hub", true},
        {"**", "hub/team/app", true},
        {"hub/*", "hub/app", true},
        {"hub/*", "hub", false},
        {"hub/*", "hub/team/app", false},
        {"hub/*", "hubs/app", false},
        {"hub/**", "hub", true},
        {"hub/**", "hub/app", true},
        {"hub/**", "hub/team/app", true},
        {"hub/**", "hub2/app", false},
        {"**/app", "app", true},
        {"**/app", "a/b/app", true},
        {"**/app", "a/b/app/c", false},
        {"**/app", "a/xapp", false},
        {"hub/**/app", "hub/app", true},
        {"hub/**/app", "hub/x/y/app", true},
        {"hub/**/app", "hub/x/y", false},
        {"*/*/*", "a/b/c", true},
        {"*/*/*", "a/b", false},
        {"**/*/*", "a", false},
        {"**/*/*", "a/b", true},
        {"**/a/**/b/**", "x/a/y/b", true},
        {"**/a/**/b/**", "x/b/y/a", false},
        {"**/a/b", "a/a/b", true},
        {"**/a/*/b/**/c", "a/a/a/b/b/c", true},
    };
    for (auto& row : rows) {
        CAPTURE(row.pattern);
        CAPTURE(row.repository);
        CHECK(matches(row.pattern, row.repository) == row.matches);
    }
}

TEST_CASE("repository pattern: matches what the definition says") {
    std::mt19937 random(7);
    const std::string components[] = {"a", "b", "*", "**"};
    for (int round = 0; round < 20'000; ++round) {
        auto text = [&](std::size_t kinds, std::size_t count) {
            std::string joined;
            for (std::size_t i = 0; i < count; ++i) joined += (i ? "/" : "") + components[random() % kinds];
            return joined;
        };
        auto pattern = text(4, 1 + random() % 6), repository = text(2, 1 + random() % 7);
        CAPTURE(pattern);
        CAPTURE(repository);
        REQUIRE(matches(pattern, repository) == matches_by_definition(split(pattern), 0, split(repository), 0));
    }
}

TEST_CASE("repository pattern: the longest that is possible ends soon") {
    std::string pattern, repository;
    while (pattern.size() + 6 <= repository_pattern_bytes_max) pattern += "**/a/";
    pattern += "b";
    while (repository.size() + 2 < 255) repository += "a/";
    repository += "a";
    CHECK_FALSE(matches(pattern, repository));
}

TEST_CASE("repository pattern: what is no pattern is refused with what is wrong") {
    struct Row {
        std::string text, reason;
    };
    const Row rows[] = {
        {"", "is empty"},
        {"/hub", "empty component"},
        {"hub/", "empty component"},
        {"hub//app", "empty component"},
        {"hub-*", "other characters"},
        {"hub/***", "other characters"},
        {"Hub/app", "capital letters"},
        {"hub/a:b", "name components"},
        {"hub/..", "name components"},
        {"hub/a b", "name components"},
        {std::string(256, 'a'), "255"},
        {"hub/-a", "name components"},
    };
    for (auto& row : rows) {
        auto parsed = RepositoryPattern::parse(row.text);
        CAPTURE(row.text);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().find(row.reason) != std::string::npos);
    }
    CHECK(RepositoryPattern::parse(std::string(255, 'a')).has_value());
}

TEST_CASE("repository patterns: a list is all or nothing, and bounded") {
    auto good = parse_repository_patterns({"hub/*", "team/**"});
    REQUIRE(good.has_value());
    CHECK(any_matches(*good, "team/a/b"));
    CHECK(any_matches(*good, "hub/a"));
    CHECK_FALSE(any_matches(*good, "hub/a/b"));
    CHECK_FALSE(any_matches({}, "hub/a"));

    auto bad = parse_repository_patterns({"hub/*", "te\x1bm-*"});
    REQUIRE_FALSE(bad.has_value());
    CHECK(bad.error().find("\"te\\x1bm-*\"") == 0);
    CHECK(parse_repository_patterns(std::vector<std::string>(repository_patterns_max, "a")).has_value());
    CHECK_FALSE(parse_repository_patterns(std::vector<std::string>(repository_patterns_max + 1, "a")).has_value());
}
