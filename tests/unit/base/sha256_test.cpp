#include "entrepot/base/sha256.h"

#include "base/sha256_blocks.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include <random>
#include <string>
#include <vector>

using namespace entrepot;

namespace {

using Sum = std::array<std::byte, Sha256::digest_bytes>;

std::string hex_of(const Sum& sum) {
    std::string hex;
    for (std::byte byte : sum) hex += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return hex;
}

Sum sum_of(Bytes bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

// The oracle: all of mbedTLS's SHA-256, of which ours shares at most the compression function.
Sum oracle_sum_of(Bytes bytes) {
    Sum sum;
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    auto* out = reinterpret_cast<unsigned char*>(sum.data());
#if MBEDTLS_VERSION_MAJOR >= 3
    REQUIRE(mbedtls_sha256(data, bytes.size(), out, 0) == 0);
#else
    REQUIRE(mbedtls_sha256_ret(data, bytes.size(), out, 0) == 0);
#endif
    return sum;
}

std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

struct ForcedEngine {
    explicit ForcedEngine(const Sha256Engine* engine) { force_sha256_engine(engine); }
    ~ForcedEngine() { force_sha256_engine(nullptr); }
};

std::vector<const Sha256Engine*> engines() {
    std::vector<const Sha256Engine*> all{&sha256_engine_mbedtls()};
    if (sha256_engine_ni()) all.push_back(sha256_engine_ni());
    return all;
}

}  // namespace

TEST_CASE("sha256: the examples of FIPS 180 hold for every engine") {
    for (const Sha256Engine* engine : engines()) {
        CAPTURE(engine->name);
        ForcedEngine forced(engine);
        CHECK(hex_of(sum_of(bytes_of(""))) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        CHECK(hex_of(sum_of(bytes_of("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        CHECK(hex_of(sum_of(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        CHECK(
            hex_of(sum_of(bytes_of(
                "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"))) ==
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
        CHECK(hex_of(sum_of(bytes_of(std::string(1'000'000, 'a')))) ==
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
}

TEST_CASE("sha256: every length around the block and padding bounds agrees with mbedTLS") {
    std::mt19937_64 random(1);
    const auto bytes = random_bytes(random, 4 * 64 + 1);
    for (const Sha256Engine* engine : engines()) {
        ForcedEngine forced(engine);
        for (std::size_t length = 0; length <= bytes.size(); ++length) {
            CAPTURE(engine->name);
            CAPTURE(length);
            const Bytes part(bytes.data(), length);
            REQUIRE(sum_of(part) == oracle_sum_of(part));
        }
    }
}

TEST_CASE("sha256: random lengths, misaligned and cut into random pieces, agree with mbedTLS") {
    std::mt19937_64 random(2);
    for (const Sha256Engine* engine : engines()) {
        ForcedEngine forced(engine);
        for (int round = 0; round < 300; ++round) {
            const auto bytes = random_bytes(random, random() % 20'000 + 16);
            const Bytes whole = Bytes(bytes).subspan(random() % 16);
            Sha256 hash;
            for (Bytes rest = whole; !rest.empty();) {
                const std::size_t taken = std::min<std::size_t>(rest.size(), random() % (round % 3 == 0 ? 100 : 3000));
                hash.update(rest.first(taken));
                rest = rest.subspan(taken);
            }
            CAPTURE(engine->name);
            CAPTURE(round);
            REQUIRE(hash.finish() == oracle_sum_of(whole));
        }
    }
}

TEST_CASE("sha256: a state may move between engines in the middle of a stream") {
    std::mt19937_64 random(3);
    const auto all = engines();
    const auto bytes = random_bytes(random, 10'000);
    Sha256 hash;
    std::size_t turn = 0;
    for (Bytes rest = bytes; !rest.empty(); ++turn) {
        ForcedEngine forced(all[turn % all.size()]);
        const std::size_t taken = std::min<std::size_t>(rest.size(), 1 + random() % 300);
        hash.update(rest.first(taken));
        rest = rest.subspan(taken);
    }
    CHECK(hash.finish() == oracle_sum_of(bytes));
}

TEST_CASE("sha256: two streams side by side, cut anywhere, have the sums that each has alone") {
    std::mt19937_64 random(4);
    for (const Sha256Engine* engine : engines()) {
        CAPTURE(engine->name);
        ForcedEngine forced(engine);
        for (int round = 0; round < 300; ++round) {
            CAPTURE(round);
            const auto bytes = random_bytes(random, random() % 20'000 + 16),
                       other_bytes = random_bytes(random, random() % 20'000 + 16);
            const Bytes whole = Bytes(bytes).subspan(random() % 16), other_whole = Bytes(other_bytes).subspan(random() % 16);
            Sha256 hash, other_hash;
            // Pieces of very unlike lengths, among them none at all; now and then one of the two goes on alone.
            Bytes rest = whole, other_rest = other_whole;
            while (!rest.empty() || !other_rest.empty()) {
                const std::size_t longest = std::array{70, 3000, 30'000}[random() % 3];
                const Bytes part = rest.first(std::min<std::size_t>(rest.size(), random() % longest));
                const Bytes other_part = other_rest.first(std::min<std::size_t>(other_rest.size(), random() % longest));
                if (random() % 8 > 0) {
                    Sha256::update_pair(hash, part, other_hash, other_part);
                } else {
                    hash.update(part);
                    other_hash.update(other_part);
                }
                rest = rest.subspan(part.size());
                other_rest = other_rest.subspan(other_part.size());
            }
            REQUIRE(hash.finish() == oracle_sum_of(whole));
            REQUIRE(other_hash.finish() == oracle_sum_of(other_whole));
        }
    }
}

TEST_CASE("sha256: side by side, every pair of places in a block and of lengths around one") {
    std::mt19937_64 random(5);
    const auto bytes = random_bytes(random, 64 + 130), other_bytes = random_bytes(random, 64 + 130);
    for (std::size_t head : {0, 1, 31, 63, 64}) {
        for (std::size_t other_head : {0, 1, 32, 63, 64}) {
            for (std::size_t length : {0, 1, 33, 63, 64, 65, 127, 128, 129, 130}) {
                for (std::size_t other_length : {0, 1, 32, 63, 64, 65, 127, 128, 129, 130}) {
                    Sha256 hash, other_hash;
                    hash.update(Bytes(bytes).first(head));
                    other_hash.update(Bytes(other_bytes).first(other_head));
                    Sha256::update_pair(hash, Bytes(bytes).subspan(head, length), other_hash,
                                        Bytes(other_bytes).subspan(other_head, other_length));
                    REQUIRE(hash.finish() == oracle_sum_of(Bytes(bytes).first(head + length)));
                    REQUIRE(other_hash.finish() == oracle_sum_of(Bytes(other_bytes).first(other_head + other_length)));
                }
            }
        }
    }
}

TEST_CASE("sha256: finish leaves the state usable, and a copy forks it") {
    Sha256 hash;
    hash.update(bytes_of("ab"));
    Sha256 fork = hash;
    CHECK(hash.finish() == sum_of(bytes_of("ab")));
    hash.update(bytes_of("c"));
    CHECK(hash.finish() == sum_of(bytes_of("abc")));
    CHECK(hash.finish() == sum_of(bytes_of("abc")));
    fork.update(bytes_of("x"));
    CHECK(fork.finish() == sum_of(bytes_of("abx")));
}

TEST_CASE("sha256: an empty update changes nothing") {
    Sha256 hash;
    hash.update({});
    hash.update(bytes_of("abc"));
    hash.update({});
    CHECK(hash.finish() == sum_of(bytes_of("abc")));
}

TEST_CASE("sha256: a stream of more than 2^32 bits has the right length in its padding") {
    if (!sha256_engine_ni()) return;  // half a gigabyte takes three seconds without the CPU's instructions
    const std::vector<std::byte> zeros(4 * MiB);
    Sha256 hash;
    for (int i = 0; i < 128; ++i) hash.update(zeros);
    hash.update(Bytes(zeros).first(64));
    // `head -c 536870976 /dev/zero | sha256sum`
    CHECK(hex_of(hash.finish()) == "51df6411706d1846c60e57890df09562e91bbbc55b92bdd29b5f2062e25868a4");
}

TEST_CASE("sha256: the engine is the CPU's instructions where it has them") {
    CHECK(std::string(Sha256::engine()) == (sha256_engine_ni() ? "sha-ni" : "mbedtls"));
    ForcedEngine forced(&sha256_engine_mbedtls());
    CHECK(std::string(Sha256::engine()) == "mbedtls");
}
