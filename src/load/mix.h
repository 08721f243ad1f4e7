#pragma once
// A catalogue of targets from a file: one a line, "TARGET [WEIGHT]"; blank lines and lines that begin with '#' are passed over.
// The order is the rank for --zipf: the first line is the most popular.

#include "load/target.h"

#include <vector>

namespace entrepot::load {

constexpr std::size_t mix_targets_max = 1'000'000;

struct Mix {
    std::vector<Target> targets;
    std::vector<double> weights;  ///< as many, all positive
};

/// `name` is for messages: "NAME:12: ...".
Result<Mix, std::string> parse_mix(std::string_view text, std::string_view name, const TargetHabits& habits);

}  // namespace entrepot::load
