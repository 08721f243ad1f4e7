// memory_ceiling: what this core's memory gives, as the ceiling beside rows that move bytes: memcpy of 256 MiB, far beyond
// the caches. Prints one JSON object with the median of the passes.
// Usage: memory_ceiling [passes, default 9]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main(int count, char** words) {
    constexpr std::size_t bytes = 256U << 20;
    const int passes = count > 1 ? std::atoi(words[1]) : 9;
    if (count > 2 || passes < 1 || passes > 1000) {
        std::fprintf(stderr, "usage: memory_ceiling [passes, 1 to 1000]\n");
        return 2;
    }
    std::vector<char> from(bytes, 'a'), to(bytes, 'b');
    std::vector<double> rates;
    for (int pass = 0; pass < passes; ++pass) {
        from[static_cast<std::size_t>(pass)] = 'c';  // so that no pass can be left out
        const auto start = std::chrono::steady_clock::now();
        std::memcpy(to.data(), from.data(), bytes);
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        rates.push_back(bytes * 1e-9 / time.count());
    }
    std::sort(rates.begin(), rates.end());
    std::printf("{\"memcpy_gb_per_s\":%.3f,\"check\":%d}\n", rates[rates.size() / 2], to[0]);
    return 0;
}
