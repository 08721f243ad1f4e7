#pragma once
// A pattern over repository paths, by whole components: `hub/*` is every repository directly under hub, `hub/**` is hub and all under it, `**/mirror` is every
// repository whose last component is mirror. Rules allow and deny by patterns over the source's path, accounts may pull by patterns over the target's.
// Immutable; matching is pure, allocates nothing, and takes at most as many comparisons as the two have components multiplied.

#include "entrepot/base/result.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

constexpr std::size_t repository_pattern_bytes_max = 255;  ///< as long as a repository's name may be
constexpr std::size_t repository_patterns_max = 100;       ///< of one rule or account

class RepositoryPattern {
  public:
    /// Components between slashes: one of a repository's name, `*` (exactly one, whatever it is), or `**` (any number of them, also none). The error is a phrase that
    /// follows the quoted text: "is empty; write \"**\" for every repository".
    static Result<RepositoryPattern, std::string> parse(std::string_view text);

    /// `repository` is a valid name.
    bool matches(std::string_view repository) const noexcept;
    const std::string& text() const noexcept { return text_; }

    friend bool operator==(const RepositoryPattern&, const RepositoryPattern&) = default;

  private:
    explicit RepositoryPattern(std::string_view text) : text_(text) {}
    std::string text_;
};

/// Whether any of them matches.
bool any_matches(const std::vector<RepositoryPattern>& patterns, std::string_view repository) noexcept;

/// All of `texts`, or what is wrong with one of them: `"hub//x" has an empty component`.
Result<std::vector<RepositoryPattern>, std::string> parse_repository_patterns(const std::vector<std::string>& texts);

}  // namespace entrepot
