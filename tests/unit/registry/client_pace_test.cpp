#include "registry/client_pace.h"

#include <doctest/doctest.h>

namespace entrepot {

TEST_CASE("client pace: a client is too slow when a minute of waiting for it brings less than 64 KiB") {
    ClientPace pace;
    for (int i = 0; i < 100; ++i) CHECK(pace.took(1, Duration::zero()));  // nobody waited for it
    CHECK(pace.took(ClientPace::bytes_min - 101, send_stall_max - seconds(1)));
    CHECK(pace.took(1, seconds(1)));
    // The next minute counts anew, whatever came before.
    for (int second = 0; second < 59; ++second) CHECK(pace.took(1 * KiB, seconds(1)));
    CHECK_FALSE(pace.took(1 * KiB, seconds(1)));
    CHECK_FALSE(pace.took(0, send_stall_max));
    CHECK(pace.took(ClientPace::bytes_min, 10 * send_stall_max));
}

}  // namespace entrepot
