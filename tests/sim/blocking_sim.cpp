#include "entrepot/io/blocking.h"

#include "world.h"

namespace entrepot {

void give_to_lane(Lane lane, BlockingJob& job) noexcept { sim::World::current().give_to_lane(lane, job); }

void start_lanes() {}

void stop_lanes() noexcept { ASSERT(sim::World::current().jobs_waiting() == 0); }

}  // namespace entrepot
