#include "entrepot/base/out_of_memory.h"

#include <unistd.h>

#include <cstdlib>
#include <new>
#include <string_view>

namespace entrepot {

void end_out_of_memory() noexcept {
    constexpr std::string_view line =
        "entrepot: error: out of memory: the process ends, what is stored stays whole; raise its memory limit (MemoryMax, the container's, ulimit -v), or "
        "lower [server] shards\n";
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
    std::_Exit(1);
}

namespace {

/// Before the first of the program's own static objects takes memory.
__attribute__((constructor(101))) void end_when_out_of_memory() { std::set_new_handler(end_out_of_memory); }

}  // namespace

}  // namespace entrepot
