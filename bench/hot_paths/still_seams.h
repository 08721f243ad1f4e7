#pragma once
// Clock and randomness of the benchmark, in place of the server's: instruction counts repeat only when nothing depends on the hour or on chance. Time moves
// when it is told to, chance begins with the same seed in every run. The server's own stay in their archive, from which the linker takes only what the program
// does not define itself.

#include "entrepot/base/clock.h"

namespace entrepot::bench {

void let_time_pass(Duration length) noexcept;

}  // namespace entrepot::bench
