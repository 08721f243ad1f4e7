#pragma once
// Where a command was typed: what can be asked there, and how much fits on a line.

#include "cli/failure.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::cli {

class Terminal {
  public:
    /// Looks at the standard streams.
    Terminal();

    /// Of the terminal that the output goes to; none when it goes elsewhere.
    const std::optional<std::size_t>& columns() const noexcept { return columns_; }
    /// Whether characters beyond ASCII can be shown.
    bool utf8() const noexcept { return utf8_; }
    /// Whether somebody could answer a question.
    bool can_ask() const noexcept { return can_ask_; }

    /// To standard output, all of it.
    Outcome<void> write(std::string_view text) const;
    /// One line on standard error, escaped; never fails.
    void complain(std::string_view text) const;

    /// Asks on standard error and reads a line; yes is "y" or "yes", everything else no. Only where can_ask().
    bool confirm(std::string_view question) const;
    /// The same without echo. Fails at the end of the input.
    Outcome<std::string> ask_secret(std::string_view question) const;

  private:
    std::optional<std::size_t> columns_;
    bool utf8_ = true;
    bool can_ask_ = false;
};

}  // namespace entrepot::cli
