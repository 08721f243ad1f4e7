#pragma once
// One diagram of an SVG picture: a frame with labelled axes, lines in it, and a legend. Pure text; colours are told apart by
// the colour-blind (Okabe, Ito).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::load {

/// A mark on an axis: where, and what it says.
struct Tick {
    double at = 0;
    std::string text;
};

struct Curve {
    std::string name;
    std::vector<std::pair<double, double>> points;  ///< x and y, x ascending
    bool filled = false;                            ///< down to the axis
};

struct Chart {
    std::string title, x_label, y_label;
    double x_least = 0, x_most = 1, y_least = 0, y_most = 1;
    std::vector<Tick> x_ticks, y_ticks;
    std::vector<Curve> curves;
};

constexpr int chart_width = 920;
constexpr int chart_height = 300;

/// The diagram with its upper left corner at (0, top).
std::string draw(const Chart& chart, int top);

/// Ticks at 1, 2 or 5 times a power of ten, from 0 to the first that is not below `most`; about `wanted` of them.
std::vector<Tick> ticks_upto(double most, int wanted);
/// "12", "1.5k", "20M".
std::string number_for_people(double number);
/// `text` as it may stand between tags and in attributes.
std::string markup(std::string_view text);

}  // namespace entrepot::load
