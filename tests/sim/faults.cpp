#include "faults.h"

#include "random.h"

namespace entrepot::sim {
namespace {

/// Three of four faults are off in a given run; the others are drawn up to `high`.
double drawn(Random& random, double high) { return random.chance(0.25) ? random.fraction() * high : 0; }

}  // namespace

Faults Faults::draw(Random& random) {
    Faults faults;
    faults.short_file_transfer = drawn(random, 0.5);
    faults.read_error = drawn(random, 0.1);
    faults.write_error = drawn(random, 0.1);
    faults.write_no_space = drawn(random, 0.1);
    faults.sync_error = drawn(random, 0.2);
    faults.name_error = drawn(random, 0.1);
    faults.page_reclaim = drawn(random, 0.5);
    faults.short_socket_transfer = drawn(random, 0.5);
    faults.interrupted = drawn(random, 0.02);
    faults.multishot_end = drawn(random, 0.2);
    faults.no_buffers = drawn(random, 0.1);
    faults.accept_error = drawn(random, 0.1);
    faults.connect_refused = drawn(random, 0.2);
    faults.connect_black_hole = drawn(random, 0.1);
    faults.connection_doomed = drawn(random, 0.3);
    faults.connection_silent = drawn(random, 0.1);
    faults.tiny_segments = drawn(random, 0.3);
    faults.narrow_window = drawn(random, 0.5);
    faults.late_completion = drawn(random, 0.5);
    faults.cancel_too_late = drawn(random, 0.9);
    faults.registration_refused = drawn(random, 1);
    faults.lookup_failure = drawn(random, 0.3);
    faults.long_delay = drawn(random, 0.05);
    faults.interrupted_file = drawn(random, 0.2);
    faults.sync_lies = random.chance(0.1) ? random.fraction() : 0;
    return faults;
}

void Faults::heal() {
    heal_disk();
    for (double* fault : {&interrupted, &interrupted_file, &accept_error, &connect_refused, &connect_black_hole,
                          &connection_doomed, &connection_silent, &lookup_failure})
        *fault = 0;
}

void Faults::heal_disk() {
    for (double* fault : {&read_error, &write_error, &write_no_space, &write_over_quota, &sync_error, &sync_lies, &name_error})
        *fault = 0;
}

}  // namespace entrepot::sim
