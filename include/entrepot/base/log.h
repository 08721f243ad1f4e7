#pragma once
// One line per event on standard error, for a person or journald. Text from outside is escaped (control bytes, ESC,
// invalid UTF-8 become \xNN), so a hostile name can neither forge a line nor drive a terminal. Never pass a secret.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace entrepot {

enum class Level { debug, info, warning, error };

void set_log_level(Level lowest) noexcept;
void log_line(Level level, std::string_view line);

template <typename... Args>
void log_info(fmt::format_string<Args...> form, Args&&... args) {
    log_line(Level::info, fmt::format(form, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> form, Args&&... args) {
    log_line(Level::warning, fmt::format(form, std::forward<Args>(args)...));
}
template <typename... Args>
void log_error(fmt::format_string<Args...> form, Args&&... args) {
    log_line(Level::error, fmt::format(form, std::forward<Args>(args)...));
}

/// `text` with everything that is not printable ASCII written as \xNN, cut to `length_max` bytes (then "..." follows).
std::string escaped(std::string_view text, std::size_t length_max = 1024);

}  // namespace entrepot
