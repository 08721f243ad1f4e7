#include "load/mix.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;

TEST_CASE("mix: targets in order, with weights, past comments and blank lines") {
    auto mix = parse_mix(
        "# the catalogue\n\n127.0.0.1:5000/lab/app:1\r\n  http://127.0.0.1:5000/file\t2.5  \n127.0.0.1:5000/lab/big:2 10",
        "mix.txt", {});
    REQUIRE(mix);
    REQUIRE(mix->targets.size() == 3);
    CHECK(mix->targets[0].is_image);
    CHECK(mix->targets[0].repository == "lab/app");
    CHECK(!mix->targets[1].is_image);
    CHECK(mix->weights == std::vector<double>{1, 2.5, 10});
}

TEST_CASE("mix: what is wrong is told with file and line") {
    struct Row {
        const char* text;
        const char* told;
    };
    const Row rows[] = {
        {"", "mix.txt names no target"},
        {"# nothing\n", "mix.txt names no target"},
        {"127.0.0.1:5000/a:1\nalpine\n", "mix.txt:2: alpine names no server: write HOST:PORT/NAME:TAG or a URL"},
        {"127.0.0.1:5000/a:1 0", "mix.txt:1: a weight is a number above 0, not 0"},
        {"127.0.0.1:5000/a:1 -1", "mix.txt:1: a weight is a number above 0, not -1"},
        {"127.0.0.1:5000/a:1 inf", "mix.txt:1: a weight is a number above 0, not inf"},
        {"127.0.0.1:5000/a:1 1x", "mix.txt:1: a weight is a number above 0, not 1x"},
        {"127.0.0.1:5000/a:1 1 2", "mix.txt:1: a line is TARGET or TARGET WEIGHT"},
    };
    for (const auto& row : rows) {
        auto mix = parse_mix(row.text, "mix.txt", {});
        REQUIRE(!mix);
        CHECK(mix.error() == row.told);
    }
}

TEST_CASE("mix: a million targets are taken and one more is not") {
    std::string text;
    for (std::size_t line = 0; line < mix_targets_max; ++line) text += "http://127.0.0.1/\n";
    CHECK(parse_mix(text, "mix.txt", {}));
    auto more = parse_mix(text + "http://127.0.0.1/", "mix.txt", {});
    REQUIRE(!more);
    CHECK(more.error() == "mix.txt:1000001: more than 1000000 targets");
}
