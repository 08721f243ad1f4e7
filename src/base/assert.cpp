#include "entrepot/base/assert.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace entrepot {
namespace {
std::atomic<void (*)()> witness_of_failure{nullptr};
}

void set_assert_witness(void (*witness)()) noexcept { witness_of_failure.store(witness); }

void assert_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "entrepot: internal error: assertion failed: %s (%s:%d)\n", condition, file, line);
    if (auto* witness = witness_of_failure.exchange(nullptr)) witness();
    std::fflush(stderr);
    std::abort();
}

}  // namespace entrepot
