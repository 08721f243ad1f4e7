#pragma once
// WWW-Authenticate challenges (RFC 9110 section 11.6.1) as registries really write them: several in one line or on several
// lines, values quoted or bare, commas missing, a token68 instead of parameters. Parsing never fails; what cannot be
// understood is left out. This is not on the path of a hit, so it may allocate.

#include "entrepot/http/field_lines.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot {

constexpr std::size_t challenges_max = 16;             ///< further ones are ignored
constexpr std::size_t challenge_params_max = 16;       ///< of one challenge; further ones are ignored
constexpr std::size_t challenge_bytes_max = 8 * 1024;  ///< of all lines; the line that passes it and those after are ignored

struct Challenge {
    std::string scheme;                                       ///< lower case: "bearer", "basic"
    std::string token68;                                      ///< instead of parameters, for instance of Negotiate
    std::vector<std::pair<std::string, std::string>> params;  ///< names in lower case, values unquoted and unescaped

    /// The first parameter of that (lower-case) name. The view lives as long as this object stays unchanged.
    std::optional<std::string_view> param(std::string_view name) const noexcept;
};

std::vector<Challenge> parse_challenges(FieldValues www_authenticate);

/// The first challenge of that (lower-case) scheme, or null.
const Challenge* find_challenge(const std::vector<Challenge>& challenges, std::string_view scheme) noexcept;

}  // namespace entrepot
