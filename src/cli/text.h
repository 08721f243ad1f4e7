#pragma once
// Text on a terminal: what it shows, how wide that is, and what must not reach it. Names come from servers and registries, so control
// characters, marks that turn the direction of writing, and what is invisible are written out; they can neither drive the terminal
// nor let one name look like another.

#include <cstddef>
#include <string>
#include <string_view>

namespace entrepot::cli {

/// One line: everything that a terminal would not simply show becomes \xNN (bytes) or \u{NNNN} (characters). Without `utf8`, whatever
/// is not ASCII as well.
std::string printable(std::string_view text, bool utf8);

/// Columns that a printable text takes.
std::size_t width_of(std::string_view text);

/// `text` in at most `width` columns, with an ellipsis at its end where something was left out. `width` is at least 1.
std::string cut_to(std::string_view text, std::size_t width, bool utf8);

}  // namespace entrepot::cli
