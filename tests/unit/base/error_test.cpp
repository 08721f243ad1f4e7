#include "entrepot/base/error.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string_view>

using namespace entrepot;

TEST_CASE("error: every fault and code has its own lower-case name") {
    std::set<std::string_view> faults, codes;
    for (int i = 0; i <= static_cast<int>(Fault::shutdown); ++i) faults.insert(name_of(static_cast<Fault>(i)));
    for (int i = 0; i <= static_cast<int>(Code::stopping); ++i) codes.insert(name_of(static_cast<Code>(i)));
    CHECK(faults.size() == static_cast<std::size_t>(Fault::shutdown) + 1);
    CHECK(codes.size() == static_cast<std::size_t>(Code::stopping) + 1);
    for (std::string_view name : codes) {
        CAPTURE(name);
        CHECK_FALSE(name.empty());
        CHECK(name != "unknown");
        CHECK(std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; }));
    }
}

TEST_CASE("error: two errors are equal when fault, code and detail are") {
    const Error error{Fault::upstream, Code::bad_status, 503};
    CHECK(error == Error{Fault::upstream, Code::bad_status, 503});
    CHECK_FALSE(error == Error{Fault::upstream, Code::bad_status, 500});
    CHECK_FALSE(error == Error{Fault::upstream, Code::timeout, 503});
    CHECK_FALSE(error == Error{Fault::client, Code::bad_status, 503});
}
