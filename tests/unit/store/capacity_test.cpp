#include "store/capacity.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace entrepot {

TEST_CASE("capacity: what a file takes is whole blocks, at least one") {
    CHECK(disk_bytes(0) == 4096);
    CHECK(disk_bytes(1) == 4096);
    CHECK(disk_bytes(4096) == 4096);
    CHECK(disk_bytes(4097) == 8192);
}

TEST_CASE("capacity: takes to the last byte, refuses the next, and survives a limit lowered below its use") {
    Capacity account;
    account.set_limit(100);
    CHECK(account.try_take(60));
    CHECK(account.try_take(40));
    CHECK_FALSE(account.try_take(1));
    account.give_back(10);
    CHECK(account.try_take(10));
    account.set_limit(50);
    CHECK_FALSE(account.try_take(0));
    account.give_back(60);
    CHECK(account.try_take(10));
    CHECK_FALSE(account.try_take(UINT64_MAX));
}

TEST_CASE("capacity: a reservation gives back what did not become use, once, however it is moved") {
    Capacity account;
    account.set_limit(1000);
    {
        REQUIRE(account.try_take(500));
        Reservation first(account, 500);
        Reservation second(std::move(first));
        REQUIRE(account.try_take(100));
        second.add(100);
        first = std::move(second);
        CHECK(account.used() == 600);
        first.become_use(200);
        CHECK(account.used() == 200);
        CHECK(first.bytes() == 0);
    }
    CHECK(account.used() == 200);
}

TEST_CASE("capacity: threads together never take more than there is") {
    Capacity account;
    account.set_limit(1000);
    std::atomic<bool> exceeded{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 50'000; ++i) {
                if (!account.try_take(300)) continue;
                if (account.used() > 1000) exceeded = true;
                account.give_back(300);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK_FALSE(exceeded);
    CHECK(account.used() == 0);
}

}  // namespace entrepot
