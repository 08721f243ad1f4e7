#include "entrepot/admin/api_query.h"

#include <doctest/doctest.h>

namespace entrepot {

TEST_CASE("api query: known parameters are decoded, all others and repetitions are refused") {
    auto query = ApiQuery::parse("after=a%2Fb%20c&dryRun=true&&limit=5&empty", "limit after dryRun empty");
    REQUIRE(query);
    CHECK(*query->find("after") == "a/b c");
    CHECK(*query->find("empty") == "");
    CHECK(query->find("prune") == nullptr);
    CHECK(query->flag("dryRun").value());
    CHECK_FALSE(query->flag("prune").value());
    CHECK(query->number("limit", 1, 10, 3).value() == 5);
    CHECK(query->number("other", 1, 10, 3).value() == 3);
    CHECK(ApiQuery::parse("", "")->find("a") == nullptr);

    struct Row {
        const char *query, *known, *message;
    };
    for (auto& row :
         {Row{"dryrun=true", "dryRun prune", "there is no parameter 'dryrun' here, only: dryRun prune"},
          Row{"a=1", "", "there is no parameter 'a': this takes none"}, Row{"=1", "a", "there is no parameter '' here, only: a"},
          Row{"ab=1", "abc", "there is no parameter 'ab' here, only: abc"},
          Row{"a%20b=1", "a b", "there is no parameter 'a b' here, only: a b"},
          Row{"a=1&b=2&a=1", "a b", "the parameter 'a' is given twice"},
          Row{"a=1&%61=2", "a", "the parameter 'a' is given twice"}, Row{"a=%4", "a", "the query has a malformed escape"}}) {
        CAPTURE(row.query);
        auto refused = ApiQuery::parse(row.query, row.known);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().status == 400);
        CHECK(refused.error().message == row.message);
    }
}

TEST_CASE("api query: numbers and flags are exactly that") {
    for (const char* text : {"0", "11", "-1", "+1", "1.0", "1 ", "0x1", "", "18446744073709551617"}) {
        CAPTURE(text);
        auto query = ApiQuery::parse(std::string("limit=") + text, "limit");
        if (query) CHECK_FALSE(query->number("limit", 1, 10, 3));
    }
    for (const char* text : {"1", "TRUE", "yes", ""}) {
        auto query = ApiQuery::parse(std::string("dryRun=") + text, "dryRun");
        REQUIRE(query);
        CHECK_FALSE(query->flag("dryRun"));
    }
}

}  // namespace entrepot
