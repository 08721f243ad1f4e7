#include "load/chart.h"

#include <doctest/doctest.h>

using namespace entrepot::load;

namespace {

std::string texts(const std::vector<Tick>& ticks) {
    std::string all;
    for (const auto& tick : ticks) all += tick.text + " ";
    return all;
}

}  // namespace

TEST_CASE("chart: ticks are round, begin at 0 and reach past the most") {
    CHECK(texts(ticks_upto(10, 10)) == "0 1 2 3 4 5 6 7 8 9 10 ");
    CHECK(texts(ticks_upto(9.7, 5)) == "0 2 4 6 8 10 ");
    CHECK(texts(ticks_upto(123'456, 5)) == "0 50k 100k 150k ");
    CHECK(texts(ticks_upto(2.3e9, 5)) == "0 500M 1G 1.5G 2G 2.5G ");
    CHECK(texts(ticks_upto(0.3, 5)) == "0 0.1 0.2 0.3 ");
    CHECK(texts(ticks_upto(0, 5)) == "0 0.2 0.4 0.6 0.8 1 ");
}

TEST_CASE("chart: text cannot become markup") { CHECK(markup("<a href=\"x\">&\n\xff") == "&lt;a href=&quot;x&quot;&gt;&amp;??"); }

TEST_CASE("chart: a drawing holds its title, labels, ticks, lines and legend") {
    Chart chart{.title = "Answers", .x_label = "seconds", .y_label = "a second", .x_most = 10, .y_most = 100};
    chart.x_ticks = ticks_upto(10, 5);
    chart.y_ticks = ticks_upto(100, 5);
    chart.curves = {{"complete", {{0, 0}, {10, 100}}, true}, {"one", {{5, 50}}, false}};
    auto svg = draw(chart, 0);
    for (const char* part : {">Answers<", ">seconds<", ">a second<", ">complete<", ">one<",
                             "<polyline points=\"84.0,248.0 896.0,34.0\"", "<polygon", "<circle"}) {
        CAPTURE(part);
        CHECK(svg.find(part) != std::string::npos);
    }
    // What is outside the axes is drawn at their edge.
    chart.curves = {{"wild", {{-5, -5}, {50, 5000}}, false}};
    CHECK(draw(chart, 0).find("points=\"84.0,248.0 896.0,34.0\"") != std::string::npos);
}
