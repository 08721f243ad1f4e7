#include "entrepot/oci/digest.h"

#include <doctest/doctest.h>

#include <string>

using namespace entrepot;

namespace {
using Texts = std::initializer_list<std::string>;
const std::string empty_sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string abc_sha512 =
    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
}  // namespace

TEST_CASE("digest: text goes in and comes out unchanged") {
    for (const std::string& text : Texts{empty_sha256, abc_sha512}) {
        const auto digest = Digest::parse(text);
        REQUIRE(digest);
        CHECK(digest->text() == text);
        CHECK(digest->hex() == text.substr(7));
        CHECK(Digest::from_raw(digest->algorithm(), digest->raw()) == *digest);
    }
    CHECK(Digest::parse(empty_sha256)->raw().size() == 32);
    CHECK(Digest::parse(abc_sha512)->raw().size() == 64);
}

TEST_CASE("digest: what hashes to it is what it names") {
    CHECK(Digest::of({}).text() == empty_sha256);
    CHECK(Digest::of(bytes_of("abc"), DigestAlgorithm::sha512).text() == abc_sha512);
    Digester digester(DigestAlgorithm::sha512);
    digester.update(bytes_of("a"));
    const Digester fork = digester;  // copies carry their own state
    digester.update(bytes_of("bc"));
    CHECK(digester.finish().text() == abc_sha512);
    CHECK(fork.finish() == Digest::of(bytes_of("a"), DigestAlgorithm::sha512));
}

TEST_CASE("digest: anything but the canonical form of a known algorithm is refused") {
    const std::string hex = empty_sha256.substr(7);
    for (const std::string& text : Texts{"",
                                         "sha256",
                                         "sha256:",
                                         hex,
                                         "sha256:" + hex.substr(1),
                                         "sha256:" + hex + "0",
                                         "sha512:" + hex,
                                         "sha256:" + abc_sha512.substr(7),
                                         "SHA256:" + hex,
                                         "sha256:E3B0" + hex.substr(4),
                                         "sha256:" + hex.substr(1) + "g",
                                         "sha256:" + hex.substr(1) + " ",
                                         "sha256:" + hex.substr(1) + std::string(1, '\0'),
                                         "sha256:" + hex.substr(1) + "\xff",
                                         "sha256:" + hex.substr(1) + ":",
                                         "sha384:" + hex,
                                         "md5:" + hex.substr(32),
                                         "sha256+b64:" + hex,
                                         " sha256:" + hex,
                                         "sha256%3A" + hex,
                                         "../../etc/passwd"}) {
        CAPTURE(text);
        CHECK_FALSE(Digest::parse(text));
    }
}

TEST_CASE("digest: every digit is looked at") {
    for (std::size_t at = 7; at < empty_sha256.size(); ++at) {
        for (const char wrong : {'G', 'g', '/', ':', '@', '`', '\x7f', '\x80'}) {
            std::string text = empty_sha256;
            text[at] = wrong;
            CHECK_FALSE(Digest::parse(text));
        }
    }
}

TEST_CASE("digest: one bit, or the algorithm, makes two of them different") {
    for (auto algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::sha512}) {
        const auto digest = Digest::of(bytes_of("abc"), algorithm);
        std::string raw(text_of(digest.raw()));
        for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
            CAPTURE(bit);
            raw[bit / 8] = static_cast<char>(raw[bit / 8] ^ (1 << bit % 8));
            CHECK_FALSE(Digest::from_raw(algorithm, bytes_of(raw)) == digest);
            raw[bit / 8] = static_cast<char>(raw[bit / 8] ^ (1 << bit % 8));
        }
        CHECK(Digest::from_raw(algorithm, bytes_of(raw)) == digest);
    }
    const std::string first(32, 'a');
    const auto padded = first + std::string(32, '\0');  // the same bytes in memory
    CHECK_FALSE(Digest::from_raw(DigestAlgorithm::sha256, bytes_of(first)) ==
                Digest::from_raw(DigestAlgorithm::sha512, bytes_of(padded)));
}
