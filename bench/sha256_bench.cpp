// How fast a stream is hashed, and two side by side: Sha256 with each engine, and OpenSSL's EVP (what a server built on it would get) on the same
// core, in the same run. Rounds are short and interleaved, and time is the thread's CPU time, so that a neighbour or a
// clock change hits all contestants alike; the ratio is the median of each round's own ratio.
// Usage: sha256_bench [buffer bytes, default 262144] [rounds, default 101]

#include "entrepot/base/sha256.h"
#include "entrepot/base/units.h"

#include "base/sha256_blocks.h"

#include <fmt/format.h>
#include <sched.h>
#include <time.h>
#ifdef BENCH_HAS_LIBCRYPTO
#include <openssl/evp.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

using namespace entrepot;

namespace {

using Sum = std::array<std::byte, Sha256::digest_bytes>;

constexpr std::uint64_t round_bytes = 8 * MiB;

struct Contestant {
    std::string name;
    std::function<Sum(Bytes buffer, std::uint64_t times)> hash;
    std::uint64_t streams = 1;  // that `hash` hashes at once, each of all the bytes
    std::vector<double> gigabytes_per_second = {};
};

Sum hash_with(const Sha256Engine* engine, Bytes buffer, std::uint64_t times) {
    force_sha256_engine(engine);
    Sha256 hash;
    for (std::uint64_t i = 0; i < times; ++i) hash.update(buffer);
    return hash.finish();
}

// Two streams side by side.
Sum hash_pair_with(const Sha256Engine* engine, Bytes buffer, std::uint64_t times) {
    force_sha256_engine(engine);
    Sha256 one, other;
    for (std::uint64_t i = 0; i < times; ++i) Sha256::update_pair(one, buffer, other, buffer);
    const Sum sum = one.finish();
    return sum == other.finish() ? sum : Sum{};
}

#ifdef BENCH_HAS_LIBCRYPTO
Sum hash_with_openssl(Bytes buffer, std::uint64_t times) {
    Sum sum{};
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
    for (std::uint64_t i = 0; i < times; ++i) EVP_DigestUpdate(context, buffer.data(), buffer.size());
    EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(sum.data()), nullptr);
    EVP_MD_CTX_free(context);
    return sum;
}
#endif

std::vector<Contestant> contestants() {
    std::vector<Contestant> all;
    all.push_back({"entrepot mbedtls", [](Bytes b, std::uint64_t n) { return hash_with(&sha256_engine_mbedtls(), b, n); }});
    if (const Sha256Engine* ni = sha256_engine_ni()) {
        all.push_back({"entrepot pair", [ni](Bytes b, std::uint64_t n) { return hash_pair_with(ni, b, n); }, 2});
        all.push_back({"entrepot sha-ni", [ni](Bytes b, std::uint64_t n) { return hash_with(ni, b, n); }});
    }
#ifdef BENCH_HAS_LIBCRYPTO
    all.push_back({"openssl evp", hash_with_openssl});
#endif
    return all;
}

void stay_on_this_core() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
}

double thread_seconds() {
    timespec spent{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

Sum timed_round(Contestant& contestant, Bytes buffer) {
    const std::uint64_t times = std::max<std::uint64_t>(1, round_bytes / buffer.size());
    const double start = thread_seconds();
    const Sum sum = contestant.hash(buffer, times);
    const double taken = thread_seconds() - start;
    contestant.gigabytes_per_second.push_back(static_cast<double>(contestant.streams * times * buffer.size()) / taken / 1e9);
    return sum;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

double median_ratio(const Contestant& one, const Contestant& yardstick) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < one.gigabytes_per_second.size(); ++i)
        ratios.push_back(one.gigabytes_per_second[i] / yardstick.gigabytes_per_second[i]);
    return median(std::move(ratios));
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t buffer_bytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 256 * KiB;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 101;
    if (buffer_bytes == 0 || buffer_bytes > GiB || rounds < 1) {
        fmt::print(stderr, "usage: sha256_bench [buffer bytes, 1 to 1 GiB] [rounds]\n");
        return 2;
    }
    stay_on_this_core();
    std::vector<std::byte> buffer(buffer_bytes);
    for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = static_cast<std::byte>(i * 2654435761u >> 13);

    auto all = contestants();
    for (int round = 0; round < rounds; ++round) {
        const Sum first = timed_round(all.front(), buffer);
        for (std::size_t i = 1; i < all.size(); ++i) {
            if (timed_round(all[i], buffer) == first) continue;
            fmt::print(stderr, "{} and {} disagree\n", all[i].name, all.front().name);
            return 1;
        }
    }
    fmt::print("buffer {}, {} interleaved rounds of {}\n", size_for_people(buffer.size()), rounds, size_for_people(round_bytes));
    fmt::print("{:<18} {:>12} {:>10} {:>10} {:>8}\n", "", "median GB/s", "min", "max", "ratio");
    for (const Contestant& each : all) {
        const auto [least, most] = std::minmax_element(each.gigabytes_per_second.begin(), each.gigabytes_per_second.end());
        const double middle = median(each.gigabytes_per_second);
        fmt::print("{:<18} {:>12.3f} {:>10.3f} {:>10.3f} {:>8.3f}\n", each.name, middle, *least, *most,
                   median_ratio(each, all.back()));
    }
    return 0;
}
