#include "load/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace entrepot::load {
namespace {

constexpr int left = 84, right = 24, above = 34, below = 52;
constexpr const char* colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"};

const char* colour_of(std::size_t curve) { return colours[curve % std::size(colours)]; }

/// Where values of a chart lie in its picture.
class Frame {
  public:
    Frame(const Chart& chart, int top) : chart_(chart), top_(top + above), bottom_(top + chart_height - below) {}
    double x(double value) const {
        auto share = (value - chart_.x_least) / std::max(chart_.x_most - chart_.x_least, 1e-12);
        return left + std::clamp(share, 0.0, 1.0) * (chart_width - left - right);
    }
    double y(double value) const {
        auto share = (value - chart_.y_least) / std::max(chart_.y_most - chart_.y_least, 1e-12);
        return bottom_ - std::clamp(share, 0.0, 1.0) * (bottom_ - top_);
    }
    int top() const { return top_; }
    int bottom() const { return bottom_; }

  private:
    const Chart& chart_;
    int top_, bottom_;
};

std::string text_at(double x, double y, std::string_view anchor, std::string_view text, std::string_view more = "") {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y, anchor, more, markup(text));
}

std::string axes(const Chart& chart, const Frame& frame) {
    std::string svg = text_at(left, frame.top() - 14, "start", chart.title, " font-size=\"15\" font-weight=\"bold\"");
    for (const auto& tick : chart.y_ticks) {
        auto y = frame.y(tick.at);
        svg += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"#dddddd\"/>\n", left, y,
                           chart_width - right, y);
        svg += text_at(left - 8, y + 4, "end", tick.text);
    }
    for (const auto& tick : chart.x_ticks) {
        auto x = frame.x(tick.at);
        svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\" stroke=\"#eeeeee\"/>\n", x, frame.top(), x,
                           frame.bottom());
        svg += text_at(x, frame.bottom() + 18, "middle", tick.text);
    }
    svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888888\"/>\n", left,
                       frame.top(), chart_width - left - right, frame.bottom() - frame.top());
    svg += text_at((left + chart_width - right) / 2.0, frame.bottom() + 38, "middle", chart.x_label);
    auto middle = (frame.top() + frame.bottom()) / 2;
    return svg + text_at(18, middle, "middle", chart.y_label, fmt::format(" transform=\"rotate(-90 18 {})\"", middle));
}

std::string line_of(const Curve& curve, const Frame& frame, const char* colour) {
    if (curve.points.empty()) return {};
    std::string points;
    for (auto [x, y] : curve.points) points += fmt::format("{:.1f},{:.1f} ", frame.x(x), frame.y(y));
    points.pop_back();
    std::string svg;
    if (curve.filled) {
        auto first = frame.x(curve.points.front().first), last = frame.x(curve.points.back().first);
        svg += fmt::format("<polygon points=\"{:.1f},{} {} {:.1f},{}\" fill=\"{}\" fill-opacity=\"0.15\"/>\n", first,
                           frame.bottom(), points, last, frame.bottom(), colour);
    }
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>\n",
                       points, colour);
    if (curve.points.size() == 1)
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", frame.x(curve.points[0].first),
                           frame.y(curve.points[0].second), colour);
    return svg;
}

/// In one row at the right of the title; names are short.
std::string legend(const Chart& chart, const Frame& frame) {
    std::string svg;
    constexpr double letter = 7, line = 18, gap = 26;
    double x = chart_width - right;
    for (std::size_t index = chart.curves.size(); index-- > 0;) {
        const auto& name = chart.curves[index].name;
        x -= letter * static_cast<double>(name.size());
        svg += text_at(x, frame.top() - 14, "start", name);
        svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\" stroke=\"{}\" stroke-width=\"3\"/>\n",
                           x - line - 4, frame.top() - 18, x - 4, frame.top() - 18, colour_of(index));
        x -= line + gap;
    }
    return svg;
}

}  // namespace

std::string draw(const Chart& chart, int top) {
    Frame frame(chart, top);
    std::string svg = axes(chart, frame);
    for (std::size_t index = 0; index < chart.curves.size(); ++index)
        svg += line_of(chart.curves[index], frame, colour_of(index));
    return svg + legend(chart, frame);
}

std::vector<Tick> ticks_upto(double most, int wanted) {
    if (!(most > 0)) most = 1;
    auto rough = most / wanted;
    auto power = std::pow(10.0, std::floor(std::log10(rough)));
    auto step = power;
    for (double factor : {1.0, 2.0, 5.0, 10.0}) {
        step = factor * power;
        if (step >= rough * 0.999) break;
    }
    std::vector<Tick> ticks;
    auto last = std::ceil(most / step * 0.9999);
    for (int index = 0; index <= static_cast<int>(last); ++index)
        ticks.push_back({index * step, number_for_people(index * step)});
    return ticks;
}

std::string number_for_people(double number) {
    constexpr std::pair<double, const char*> units[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    for (auto [size, name] : units)
        if (number >= size * 0.9999) return fmt::format("{:.3g}{}", number / size, name);
    return fmt::format("{:.3g}", number);
}

std::string markup(std::string_view text) {
    std::string safe;
    for (char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            default: safe += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
        }
    }
    return safe;
}

}  // namespace entrepot::load
