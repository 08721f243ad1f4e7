#include "entrepot/io/watchdog.h"

#include "support/run_task.h"
#include "support/second_loop.h"

#include <unistd.h>

namespace entrepot {
namespace {

constexpr Instant start{1'000'000'000'000};
Instant after(int whole) { return start + seconds(whole); }
std::int64_t found_away(Loop& loop) { return loop.away_ns.load() / 1'000'000'000; }

}  // namespace

TEST_CASE("watchdog: a loop that does not turn is found away, and is well again with its next turn") {
    TestLoop loop;
    Watchdog watchdog;
    watchdog.watch(3, *loop, ::gettid());
    watchdog.look(after(0));
    watchdog.look(after(1));
    CHECK_FALSE(loop->away());
    watchdog.look(after(2));
    CHECK(loop->away());
    CHECK(found_away(*loop) == 2);
    CHECK(watchdog.stalls() == 1);
    watchdog.look(after(3));
    CHECK(found_away(*loop) == 3);
    CHECK(watchdog.stalls() == 1);
    loop->turn(Instant{0});
    watchdog.look(after(4));
    CHECK_FALSE(loop->away());
    for (int second = 5; second < 7; ++second) watchdog.look(after(second));
    CHECK(loop->away());
    CHECK(watchdog.stalls() == 2);
    watchdog.forget(3);
}

TEST_CASE("watchdog: a loop with nothing to do is woken, and never found away") {
    SecondLoop idle;
    Watchdog watchdog;
    watchdog.watch(0, idle.loop(), ::gettid());
    auto seen = idle.loop().turns();
    for (int second = 0; second < 6; ++second) {
        watchdog.look(after(second));
        for (auto limit = now() + seconds(10); idle.loop().turns() == seen && now() < limit;) ::usleep(200);
        CHECK(idle.loop().turns() > seen);
        seen = idle.loop().turns();
        CHECK_FALSE(idle.loop().away());
    }
    CHECK(watchdog.stalls() == 0);
    watchdog.forget(0);
}

TEST_CASE("watchdog: when nobody could look, because the whole process was stopped, no loop is blamed") {
    TestLoop loop;
    Watchdog watchdog;
    watchdog.watch(0, *loop, ::gettid());
    watchdog.look(after(0));
    loop->turn(Instant{0});
    watchdog.look(after(1));
    loop->turn(Instant{0});
    watchdog.look(after(3600));
    CHECK_FALSE(loop->away());
    watchdog.look(after(3601));
    CHECK_FALSE(loop->away());
    // One that has truly not turned: an hour unseen counts as two looks.
    watchdog.look(after(7200));
    CHECK(found_away(*loop) == 3);
    watchdog.forget(0);
    watchdog.look(after(7201));
    CHECK(found_away(*loop) == 3);
}

}  // namespace entrepot
