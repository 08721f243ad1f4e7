#include "entrepot/base/result.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

using namespace entrepot;

TEST_CASE("result: holds a value or an error, never both") {
    Result<std::string> good = std::string("layer");
    REQUIRE(good.has_value());
    CHECK(*good == "layer");
    CHECK(good->size() == 5);

    Result<std::string> bad = Error{Fault::storage, Code::no_space, 28};
    REQUIRE_FALSE(bad);
    CHECK(bad.error() == Error{Fault::storage, Code::no_space, 28});
    CHECK(std::move(bad).value_or("fallback") == "fallback");
}

TEST_CASE("result: values that only move can be taken out") {
    Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
    std::unique_ptr<int> taken = std::move(result).value();
    CHECK(*taken == 7);
}

TEST_CASE("result: success without a value is the default") {
    Result<void> done;
    CHECK(done.has_value());
    Result<void> failed = Error{Fault::client, Code::timeout};
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Code::timeout);
}

TEST_CASE("result: a value and an error of convertible types do not mix up") {
    Result<int, long> number = 3;
    Result<int, long> error = 4L;
    CHECK(*number == 3);
    CHECK(error.error() == 4L);
}
