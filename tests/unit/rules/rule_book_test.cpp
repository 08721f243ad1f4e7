#include "entrepot/rules/rule_book.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace entrepot;

namespace {

std::shared_ptr<const CacheRule> rule_of(const std::string& name, const std::string& target, const std::string& source) {
    RuleText text;
    text.name = name;
    text.target = target;
    text.source = source;
    auto parsed = CacheRule::parse(text);
    if (!parsed) FAIL(parsed.error());
    return std::make_shared<const CacheRule>(*std::move(parsed));
}

RuleTable::Options strict() {
    RuleTable::Options options;
    options.strict_overlap = true;
    return options;
}

/// The message that refuses `rule`, or "".
std::string refusal(const RuleBook& book, const std::shared_ptr<const CacheRule>& rule) {
    const auto conflict = book.conflict_of(*rule);
    return conflict ? conflict->message : std::string();
}

}  // namespace

TEST_CASE("rule book: the truth table, and each refusal names both rules") {
    struct {
        const char *target, *source, *new_target, *new_source;
        bool allowed, allowed_strictly;
    } const rows[] = {
        {"*", "mcr.microsoft.com/*", "library/*", "docker.io/library/*", false, false},                                // 1
        {"library/*", "mcr.microsoft.com/library/*", "library/dotnet/*", "docker.io/library/dotnet/*", false, false},  // 2
        {"*", "mcr.microsoft.com/*", "*", "docker.io/library/*", false, false},                                        // 3
        {"*", "mcr.microsoft.com/*", "library/dotnet", "docker.io/library/dotnet", true, false},                       // 4
        {"a", "docker.io/library/a", "a", "quay.io/b/a", false, false},                                                // 5
        {"library/dotnet/*", "mcr.microsoft.com/dotnet/*", "library/python/*", "docker.io/library/*", true, true},     // 6
        {"library/dotnet", "docker.io/library/dotnet", "*", "mcr.microsoft.com/*", true, false},                       // 7
        {"library/dotnet", "docker.io/library/dotnet", "library/*", "mcr.microsoft.com/*", true, false},               // 7
        {"a", "quay.io/x/a", "b", "quay.io/x/a", true, true},                                                          // 10
        {"a/*", "quay.io/x/*", "*", "docker.io/*", false, false},                                                      // 11
        {"a/*", "quay.io/x/*", "ab/*", "docker.io/*", true, true},
        {"a/b", "quay.io/x/b", "a/b/c", "docker.io/x/c", true, true},
        {"a/*", "quay.io/x/*", "a", "docker.io/x/a", true, true},  // the wildcard needs one component more
    };
    for (const auto& row : rows) {
        const auto first = rule_of("first", row.target, row.source), second = rule_of("second", row.new_target, row.new_source);
        for (const bool strictly : {false, true}) {
            RuleBook book(strictly ? strict() : RuleTable::Options());
            book.add(first);
            const auto message = refusal(book, second);
            INFO(row.target, " then ", row.new_target, strictly ? " strictly: " : ": ", message);
            CHECK(message.empty() == (strictly ? row.allowed_strictly : row.allowed));
            if (message.empty()) continue;
            CHECK(message.find("\"first\"") != std::string::npos);
            CHECK(message.find("\"second\"") != std::string::npos);
        }
    }
}

TEST_CASE("rule book: names are unique, and the number of rules has a bound") {
    RuleTable::Options options;
    options.rules_max = 2;
    RuleBook book(options);
    book.add(rule_of("one", "a", "quay.io/x/a"));
    CHECK(book.conflict_of(*rule_of("one", "b", "quay.io/x/b"))->kind == RuleBook::Conflict::Kind::name_taken);
    book.add(rule_of("two", "b", "quay.io/x/b"));
    const auto conflict = book.conflict_of(*rule_of("three", "c", "quay.io/x/c"));
    REQUIRE(conflict);
    CHECK(conflict->kind == RuleBook::Conflict::Kind::too_many);
    CHECK(conflict->message.find("more than the limit of 2") != std::string::npos);
    CHECK(book.remove("one") == RuleBook::place_of_api);
    CHECK_FALSE(book.remove("one"));
    CHECK(refusal(book, rule_of("three", "c", "quay.io/x/c")).empty());
}

TEST_CASE("rule book: it agrees with the table that is built of it, for any sequence of changes") {
    std::mt19937 random(4711);
    for (int round = 0; round < 40; ++round) {
        const bool strictly = round % 2 == 1;
        RuleBook book(strictly ? strict() : RuleTable::Options());
        int names = 0;
        for (int step = 0; step < 60; ++step) {
            std::string target;
            for (unsigned depth = random() % 4; depth > 0; --depth) target += std::string(1, "ab"[random() % 2]) + "/";
            target += random() % 2 == 0 ? "*" : "c";
            const auto rule =
                rule_of("r" + std::to_string(names++), target, target.ends_with('*') ? "quay.io/team/*" : "quay.io/team/image");
            auto with = book.list();
            with.push_back(rule);
            const auto table = RuleTable::build(with, book.options());
            const auto message = refusal(book, rule);
            INFO(target, ": ", message, " / ", table ? "" : table.error().message);
            REQUIRE(message.empty() == table.has_value());
            if (message.empty()) book.add(rule);
            if (random() % 3 == 0 && book.size() > 0) {
                const auto list = book.list();
                REQUIRE(book.remove(list[random() % list.size()]->name()));
            }
        }
    }
}

TEST_CASE("rule book: rules of the file keep their order, those of the API follow by name") {
    RuleBook book({});
    book.add(rule_of("m", "m", "quay.io/x/m"));
    book.add(rule_of("z", "z", "quay.io/x/z"), 0);
    book.add(rule_of("a", "a", "quay.io/x/a"), 1);
    book.add(rule_of("b", "b", "quay.io/x/b"));
    std::string order;
    for (const auto& rule : book.list()) order += rule->name();
    CHECK(order == "zabm");
    CHECK(book.find("m")->target() == "m");
    CHECK_FALSE(book.find("x"));
}

TEST_CASE("rule book: allowed neighbours are told") {
    RuleBook book({});
    book.add(rule_of("wide", "lib/*", "quay.io/x/*"));
    const auto inside = rule_of("narrow", "lib/a", "docker.io/x/a");
    REQUIRE(book.notes_about(*inside).size() == 1);
    CHECK(book.notes_about(*inside)[0].find("exception inside the wildcard of cache rule \"wide\"") != std::string::npos);
    book.add(inside);
    CHECK(book.notes_about(*book.find("wide"))[0].find("\"narrow\"") != std::string::npos);
    const auto twin = rule_of("twin", "other/*", "quay.io/x/*");
    CHECK(book.notes_about(*twin)[0].find("same source") != std::string::npos);
    for (int i = 0; i < 30; ++i) book.add(rule_of("n" + std::to_string(i), "lib/n" + std::to_string(i), "quay.io/y/n"));
    CHECK(book.notes_about(*book.find("wide")).size() == RuleBook::notes_max);
}
