#include "entrepot/cache/records_under_way.h"

#include "support/run_task.h"

#include <doctest/doctest.h>

#include <optional>

namespace entrepot {

TEST_CASE("records under way: who waits, waits for those before him and for no later one, and not past his deadline") {
    TestLoop loop;
    RecordsUnderWay all;
    auto never = Instant::never();
    CHECK(loop.run(all.until_ended(never)));
    std::optional<RecordsUnderWay::One> first(all), second(all);
    auto waiting = all.until_ended(never);
    std::optional<RecordsUnderWay::One> later(all);
    CHECK_FALSE(loop.run(all.until_ended(loop->time() + milliseconds(1))));
    second.reset();
    CHECK_FALSE(waiting.done());
    first.reset();
    CHECK(loop.run(std::move(waiting)));
    CHECK_FALSE(loop.run(all.until_ended(loop->time() + milliseconds(1))));
}

}  // namespace entrepot
