#include "main/arenas.h"

#include <jemalloc/jemalloc.h>

#include <cstddef>

namespace entrepot {
namespace {

/// Entering an arena makes it.
bool enter(unsigned arena) noexcept { return ::mallctl("thread.arena", nullptr, nullptr, &arena, sizeof arena) == 0; }

}  // namespace

bool make_arenas(unsigned threads) noexcept {
    unsigned limit = 0, own = 0;
    std::size_t size = sizeof(unsigned);
    if (::mallctl("opt.narenas", &limit, &size, nullptr, 0) != 0 || ::mallctl("thread.arena", &own, &size, nullptr, 0) != 0)
        return false;
    bool all_made = true;
    for (unsigned arena = 1; arena < limit && arena <= threads && all_made; ++arena) all_made = enter(arena);
    return enter(own) && all_made;
}

}  // namespace entrepot
