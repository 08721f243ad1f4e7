#include "upstream/hidden_text.h"

#include <doctest/doctest.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace entrepot;

namespace {

/// The kernel's flags of the pages in which this lies.
std::string flags_at(const char* place) {
    std::ifstream maps("/proc/self/smaps");
    auto wanted = reinterpret_cast<std::uintptr_t>(place);
    bool is_inside = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t first = 0, last = 0;
        if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &first, &last) == 2)
            is_inside = wanted >= first && wanted < last;
        else if (is_inside && line.starts_with("VmFlags:")) return line + " ";
    }
    return "";
}

}  // namespace

TEST_CASE("hidden text: no dump contains it, however short or long it is") {
    for (std::size_t size : {1u, 15u, 16u, 100u, 4096u, 65536u, 200'000u}) {
        CAPTURE(size);
        HiddenText hidden(std::string(size, 's'));
        CHECK(hidden.view() == std::string(size, 's'));
        CHECK(flags_at(hidden.view().data()).find(" dd ") != std::string::npos);
        CHECK(flags_at(hidden.view().data() + size - 1).find(" dd ") != std::string::npos);
    }
    std::string shown(100, 's');
    CHECK(flags_at(shown.data()).find(" dd ") == std::string::npos);
    CHECK(HiddenText("").view().empty());
}

TEST_CASE("hidden text: is overwritten when it goes, and moves without a copy") {
    HiddenText keeper(std::string(100, 'k'));  // keeps the pages mapped
    const char* place = nullptr;
    {
        HiddenText hidden(std::string(100, 's'));
        HiddenText moved(std::move(hidden));
        place = moved.view().data();
        CHECK(moved.view() == std::string(100, 's'));
        keeper = std::move(moved);
        CHECK(keeper.view().data() == place);
    }
    HiddenText last(std::string(100, 'l'));
    keeper = HiddenText();
    // The allocator may have written a link into what it got back; the rest is as the text left it.
    CHECK(std::string(place + 32, 68).find('s') == std::string::npos);
}

TEST_CASE("hidden text: threads make and drop them together") {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([i] {
            std::vector<HiddenText> held;
            for (int turn = 0; turn < 2000; ++turn) {
                held.emplace_back(std::string(static_cast<std::size_t>(turn % 3000 + 1), static_cast<char>('a' + i)));
                if (turn % 3 == 0) held.erase(held.begin());
            }
            for (auto& text : held) REQUIRE(text.view().front() == 'a' + i);
        });
    }
    for (auto& thread : threads) thread.join();
}
