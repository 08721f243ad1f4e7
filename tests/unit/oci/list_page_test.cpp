#include "entrepot/oci/list_page.h"

#include "entrepot/oci/catalog.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {
const std::vector<std::string_view> names{"a", "b", "c", "d"};

std::string joined(const ListPage& page) {
    std::string text;
    for (const std::string_view name : page.names) text.append(name);
    return text + (page.more ? "+" : "");
}
}  // namespace

TEST_CASE("list page: n names after last, and whether more follow") {
    struct {
        std::uint32_t n;
        std::string_view last;
        std::string page;
    } const rows[] = {
        {10, "", "abcd"}, {4, "", "abcd"}, {3, "", "abc+"}, {1, "", "a+"},   {2, "b", "cd"},
        {1, "b", "c+"},   {2, "d", ""},    {2, "z", ""},    {2, "bb", "cd"},  // last need not exist
        {2, "A", "ab+"},                                                      // order is by bytes: capitals come first
        {0, "", ""},      {0, "b", ""},                                       // n=0: an empty list that nothing follows
    };
    for (const auto& row : rows) {
        CAPTURE(row.n);
        CAPTURE(row.last);
        CHECK(joined(page_of(names, row.n, row.last)) == row.page);
    }
    CHECK(joined(page_of({}, 5, "")) == "");
}

TEST_CASE("list page: following last leads through the whole list once") {
    std::vector<std::string> texts;
    for (int i = 0; i < 997; ++i) texts.push_back("v" + std::to_string(1000 + i));
    const std::vector<std::string_view> all(texts.begin(), texts.end());
    std::vector<std::string_view> seen;
    for (std::string_view last;;) {
        const ListPage page = page_of(all, 10, last);
        seen.insert(seen.end(), page.names.begin(), page.names.end());
        if (!page.more) break;
        last = page.names.back();
    }
    CHECK(seen == all);
}

TEST_CASE("list page: the link keeps n, the last name and the namespace") {
    CHECK(next_page_link("/v2/app/tags/list", 10, "v1.0", "") == "</v2/app/tags/list?n=10&last=v1.0>; rel=\"next\"");
    CHECK(next_page_link("/v2/_catalog", 2, "library/alpine", "localhost:5000") ==
          "</v2/_catalog?n=2&last=library/alpine&ns=localhost:5000>; rel=\"next\"");
    CHECK(next_page_link("/v2/_catalog", 2, "a&b>\"%\r\n", "") == "</v2/_catalog?n=2&last=a%26b%3E%22%25%0D%0A>; rel=\"next\"");
}

TEST_CASE("catalog: a list of repositories, even an empty one") {
    CHECK(catalog_body(page_of(names, 2, "").names) == R"({"repositories":["a","b"]})");
    CHECK(catalog_body({}) == R"({"repositories":[]})");
}
