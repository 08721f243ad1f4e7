// Any lines (the input, cut at LF) as WWW-Authenticate fields: parsing ends, keeps its bounds, and invents nothing: each name
// and value is no longer than all lines, and names and schemes are tokens in lower case.

#include "entrepot/base/assert.h"
#include "entrepot/http/challenge.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

using namespace entrepot;

namespace {

bool is_lower_token(std::string_view text) {
    constexpr std::string_view separators = "\"(),/:;<=>?@[\\]{}";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return c > 0x20 && c < 0x7f && !(c >= 'A' && c <= 'Z') && separators.find(c) == std::string_view::npos;
    });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto copy = std::make_unique<char[]>(size);
    std::copy(data, data + size, copy.get());
    std::string_view rest(copy.get(), size);
    std::vector<std::string_view> lines;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        lines.push_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }

    const auto challenges = parse_challenges(lines);
    ASSERT(challenges.size() <= challenges_max);
    for (const Challenge& challenge : challenges) {
        ASSERT(is_lower_token(challenge.scheme));
        ASSERT(challenge.params.size() <= challenge_params_max && challenge.token68.size() <= size);
        for (const auto& [name, value] : challenge.params) {
            ASSERT(is_lower_token(name) && name.size() + value.size() <= size);
            ASSERT(challenge.param(name).has_value());
        }
        ASSERT(find_challenge(challenges, challenge.scheme) != nullptr);
    }
    return 0;
}
