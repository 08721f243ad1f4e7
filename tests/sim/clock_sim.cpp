#include "entrepot/base/clock.h"

#include "world.h"

namespace entrepot {

// Before a world exists (static initialisation, option parsing) time stands still.
Instant now() noexcept { return sim::World::exists() ? sim::World::current().time() : Instant{0}; }

std::int64_t wall_microseconds() noexcept { return sim::World::exists() ? sim::World::current().wall_microseconds() : 0; }

}  // namespace entrepot
