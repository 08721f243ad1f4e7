#include "entrepot/base/sha512.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace entrepot;

namespace {

std::string hex_of(const std::array<std::byte, Sha512::digest_bytes>& sum) {
    std::string hex;
    for (std::byte byte : sum) hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return hex;
}

std::string sum_of(std::string_view text) {
    Sha512 hash;
    hash.update(bytes_of(text));
    return hex_of(hash.finish());
}

constexpr std::string_view sum_of_nothing =
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
constexpr std::string_view sum_of_abc =
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
constexpr std::string_view sum_of_a_million_a =
    "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
    "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b";

}  // namespace

TEST_CASE("sha512: the examples of FIPS 180 hold") {
    CHECK(sum_of("") == sum_of_nothing);
    CHECK(sum_of("abc") == sum_of_abc);
    CHECK(sum_of(std::string(1'000'000, 'a')) == sum_of_a_million_a);
}

TEST_CASE("sha512: pieces of any size give the sum of the whole") {
    const std::string text(1'000'000, 'a');
    Sha512 hash;
    std::size_t step = 0;
    for (std::string_view rest = text; !rest.empty(); ++step) {
        const auto taken = std::min<std::size_t>(rest.size(), step % 300);
        hash.update(bytes_of(rest.substr(0, taken)));
        rest.remove_prefix(taken);
    }
    CHECK(hex_of(hash.finish()) == sum_of_a_million_a);
}

TEST_CASE("sha512: finish leaves the state usable, copies and assignments fork it") {
    Sha512 hash;
    hash.update(bytes_of("ab"));
    Sha512 copy = hash;
    Sha512 assigned;
    assigned.update(bytes_of("something else"));
    assigned = hash;
    CHECK(hex_of(hash.finish()) == sum_of("ab"));
    hash.update(bytes_of("c"));
    CHECK(hex_of(hash.finish()) == sum_of_abc);
    copy.update(bytes_of("x"));
    CHECK(hex_of(copy.finish()) == sum_of("abx"));
    CHECK(hex_of(assigned.finish()) == sum_of("ab"));
    const Sha512& same = assigned;
    assigned = same;
    CHECK(hex_of(assigned.finish()) == sum_of("ab"));
}
