// What a shard's own machinery costs: coroutine frames, turns, messages, timers.

#include "entrepot/io/await.h"

#include "null_ring.h"
#include "path.h"

#include <deque>
#include <memory>

namespace entrepot::bench {
namespace {

constexpr unsigned times = 2000;

/// Something to wait for that costs nothing itself.
struct Gate {
    std::coroutine_handle<> waiter;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> who) noexcept { waiter = who; }
    void await_resume() const noexcept {}
};

[[gnu::noinline]] Task<unsigned> answer_at_once(unsigned value) { co_return value; }

[[gnu::noinline]] Task<unsigned> answer_later(Gate& gate, unsigned value) {
    co_await gate;
    co_return value;
}

Task<void> ask_at_once(unsigned count, unsigned& sum) {
    for (unsigned i = 0; i < count; ++i) sum += co_await answer_at_once(i);
}

Task<void> ask_and_wait(Gate& gate, unsigned count, unsigned& sum) {
    for (unsigned i = 0; i < count; ++i) sum += co_await answer_later(gate, i);
}

HotPath completes_at_once() {
    auto work = [](Meter& meter, unsigned count) {
        unsigned sum = 0;
        meter.start();
        auto task = ask_at_once(count, sum);
        meter.stop();
        ASSERT(task.done());
        keep(sum);
    };
    return {"task: called, ends without a wait", times, work};
}

HotPath suspends_and_resumes() {
    auto work = [](Meter& meter, unsigned count) {
        unsigned sum = 0;
        Gate gate;
        meter.start();
        auto task = ask_and_wait(gate, count, sum);
        for (unsigned i = 0; i < count; ++i) gate.waiter.resume();
        meter.stop();
        ASSERT(task.done());
        keep(sum);
    };
    return {"task: called, waits, resumes its caller", times, work};
}

struct Add {
    unsigned sum = 0;
    unsigned operator()() noexcept { return ++sum; }
};

Task<void> call_often(Loop& other, Add& add, unsigned count) {
    for (unsigned i = 0; i < count; ++i) (void)co_await call_on(other, add);
}

HotPath call_on_other_loop() {
    auto work = [](Meter& meter, unsigned count) {
        Loop here(std::make_unique<NullRing>()), there(std::make_unique<NullRing>());
        Add add;
        here.enter();
        meter.start();
        auto task = call_often(there, add, count);
        while (!task.done()) {
            there.enter();
            there.turn(Instant{0});  // runs the function, answers
            here.enter();
            here.turn(Instant{0});  // takes the answer
            here.turn(Instant{0});  // the caller goes on
        }
        meter.stop();
        ASSERT(add.sum == count);
    };
    return {"message: to another loop and back, three turns", times, work};
}

HotPath idle_turn() {
    auto loop = std::make_shared<Loop>(std::make_unique<NullRing>());
    return path("loop: a turn without work", times, [loop] {
        loop->enter();
        loop->turn(Instant{0});
    });
}

Task<void> be_notified(Condition& condition, unsigned count) {
    for (unsigned i = 0; i < count; ++i) (void)co_await condition.wait(Loop::current().time() + seconds(120));
}

HotPath condition_with_deadline() {
    auto work = [](Meter& meter, unsigned count) {
        Loop loop(std::make_unique<NullRing>());
        Condition condition;
        meter.start();
        auto task = be_notified(condition, count);
        for (unsigned i = 0; i < count; ++i) {
            condition.notify_all();
            loop.turn(Instant{0});
        }
        meter.stop();
        ASSERT(task.done());
    };
    return {"condition: wait with a deadline, be notified", times, work};
}

/// A wheel as a busy shard has it: a thousand deadlines ahead.
struct Wheel {
    static void nothing(Timer&) {}
    Timers timers{Instant{0}};
    std::deque<Timer> others;
    Timer timer{&Wheel::nothing};

    Wheel() {
        for (int i = 0; i < 1000; ++i) timers.arm(others.emplace_back(&Wheel::nothing), Instant{0} + milliseconds(10 + 120 * i));
    }
    ~Wheel() {
        for (auto& other : others) timers.disarm(other);
    }
};

HotPath arm_and_disarm() {
    auto wheel = std::make_shared<Wheel>();
    return path("timer: armed for 120 s, disarmed", times, [wheel] {
        wheel->timers.arm(wheel->timer, Instant{0} + seconds(120));
        keep(wheel->timer);
        wheel->timers.disarm(wheel->timer);
    });
}

}  // namespace

Paths loop_paths() {
    Paths all;
    all.push_back(completes_at_once());
    all.push_back(suspends_and_resumes());
    all.push_back(idle_turn());
    all.push_back(call_on_other_loop());
    all.push_back(condition_with_deadline());
    all.push_back(arm_and_disarm());
    return all;
}

}  // namespace entrepot::bench
