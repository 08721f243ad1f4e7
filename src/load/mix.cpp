#include "load/mix.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace entrepot::load {
namespace {

std::string_view next_word(std::string_view& line) {
    auto start = std::min(line.find_first_not_of(" \t\r"), line.size());
    auto end = std::min(line.find_first_of(" \t\r", start), line.size());
    auto word = line.substr(start, end - start);
    line.remove_prefix(end);
    return word;
}

bool parse_weight(std::string_view word, double& weight) {
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), weight);
    return error == std::errc() && end == word.data() + word.size() && std::isfinite(weight) && weight > 0;
}

}  // namespace

Result<Mix, std::string> parse_mix(std::string_view text, std::string_view name, const TargetHabits& habits) {
    Mix mix;
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        auto word = next_word(line);
        if (word.empty() || word.starts_with('#')) continue;
        auto target = parse_target(word, habits);
        if (!target) return fmt::format("{}:{}: {}", name, number, target.error());
        double weight = 1;
        auto weight_word = next_word(line);
        if (!weight_word.empty() && !parse_weight(weight_word, weight))
            return fmt::format("{}:{}: a weight is a number above 0, not {}", name, number, weight_word);
        if (!next_word(line).empty()) return fmt::format("{}:{}: a line is TARGET or TARGET WEIGHT", name, number);
        if (mix.targets.size() == mix_targets_max)
            return fmt::format("{}:{}: more than {} targets", name, number, mix_targets_max);
        mix.targets.push_back(std::move(*target));
        mix.weights.push_back(weight);
    }
    if (mix.targets.empty()) return fmt::format("{} names no target", name);
    return mix;
}

}  // namespace entrepot::load
