#include "cli/table.h"
#include "cli/text.h"

#include <doctest/doctest.h>

#include <sstream>

using namespace entrepot::cli;

namespace {

Table rules() {
    Table table({"Name", "Source", "Target", "Credentials", "State", "Created"});
    table.add({"hub", "docker.io/*", "hub/*", "hub-login", "Succeeded", "2026-11-21T15:52:38Z"});
    table.add({"a-rule-with-a-long-name-of-all-the-fifty-characters", "registry.corp.example/team/project/*",
               "corp/team/project/*", "", "Succeeded", ""});
    return table;
}

std::size_t longest_line(const std::string& text) {
    std::size_t longest = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) longest = std::max(longest, width_of(line));
    return longest;
}

}  // namespace

TEST_CASE("table: columns are aligned, an empty cell is a dash, no line ends in blanks") {
    Table table({"Name", "Source", "Credentials"});
    table.add({"hub", "docker.io/*", ""});
    table.add({"corporate", "a/*", "login"});
    CHECK(table.text({}, true) ==
          "Name       Source       Credentials\n"
          "hub        docker.io/*  -\n"
          "corporate  a/*          login\n");
}

TEST_CASE("table: a table without rows still says its columns") {
    CHECK(Table({"Name", "Kind"}).text({}, true) == "Name  Kind\n");
}

TEST_CASE("table: it fits a narrow terminal, and says where something was cut") {
    for (std::size_t columns : {40u, 60u, 80u, 120u}) {
        const auto text = rules().text(columns, true);
        CHECK(longest_line(text) <= columns);
        CHECK(text.find("\u2026") != text.npos);
    }
    CHECK(longest_line(rules().text(40, false)) <= 40);
    CHECK(rules().text(1000, true).find("\u2026") == std::string::npos);
    CHECK(rules().text({}, true).find("a-rule-with-a-long-name-of-all-the-fifty-characters") != std::string::npos);
}

TEST_CASE("table: wide and hostile cells keep the layout") {
    Table table({"Name", "Next"});
    table.add({"\u65e5\u672c", "here"});
    table.add({"a\nb\x1b[2J", "here"});
    CHECK(table.text({}, true) ==
          "Name           Next\n"
          "\u65e5\u672c           here\n"
          "a\\x0ab\\x1b[2J  here\n");
}

TEST_CASE("table: tsv has one line a row, whatever is in the cells") {
    Table table({"Name", "Source"});
    table.add({"a\tb", "c\nd"});
    table.add({"hub", ""});
    CHECK(table.tsv() == "a\\x09b\tc\\x0ad\nhub\t\n");
}

TEST_CASE("properties: values stand under each other") {
    Properties properties;
    properties.add("Pull", "anonymous");
    properties.add("Tag TTL", "60s");
    properties.add("Tags", "");
    CHECK(properties.text(true) == "Pull     anonymous\nTag TTL  60s\nTags     -\n");
}
