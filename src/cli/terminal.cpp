#include "cli/terminal.h"

#include "cli/file.h"
#include "cli/text.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace entrepot::cli {
namespace {

constexpr std::size_t answer_bytes_max = 4096;
constexpr std::size_t columns_usual = 80;

std::size_t columns_of_output() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return columns_usual;
}

bool locale_is_utf8() {
    const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
    if (locale == nullptr) return false;
    const bool utf8 = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
    ::freelocale(locale);
    return utf8;
}

Outcome<void> write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written >= 0) text.remove_prefix(static_cast<std::size_t>(written));
        else if (errno != EINTR) return failed("the output could not be written: {}", std::strerror(errno));
    }
    return {};
}

volatile std::sig_atomic_t caught_signal = 0;
constexpr std::array<int, 5> ending_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

/// Turns the echo off, and back on however the wait for a line ends: a signal meanwhile is kept, and acted on after that.
class Silence {
  public:
    Silence() {
        struct sigaction action {};
        action.sa_handler = [](int signal) { caught_signal = signal; };  // without SA_RESTART: the read ends
        for (std::size_t i = 0; i < ending_signals.size(); ++i) ::sigaction(ending_signals[i], &action, &before_[i]);
        if (::tcgetattr(STDIN_FILENO, &echoing_) != 0) return;
        termios silent = echoing_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        silent.c_lflag |= ECHONL;
        changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
    }
    Silence(const Silence&) = delete;
    ~Silence() {
        if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &echoing_);
        for (std::size_t i = 0; i < ending_signals.size(); ++i) ::sigaction(ending_signals[i], &before_[i], nullptr);
        if (const int signal = caught_signal) {
            caught_signal = 0;
            ::raise(signal);
        }
    }
    bool works() const noexcept { return changed_; }

  private:
    termios echoing_{};
    bool changed_ = false;
    std::array<struct sigaction, ending_signals.size()> before_{};
};

/// A line that a signal may cut short, unlike File::read_line.
std::optional<std::string> read_typed_line() {
    std::string line;
    for (;;) {
        char next = 0;
        const ssize_t got = ::read(STDIN_FILENO, &next, 1);
        if (got <= 0 || line.size() == answer_bytes_max) return std::nullopt;
        if (next == '\n') return line;
        line.push_back(next);
    }
}

}  // namespace

Terminal::Terminal() : can_ask_(::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0) {
    if (::isatty(STDOUT_FILENO) == 0) return;
    columns_ = columns_of_output();
    utf8_ = locale_is_utf8();
}

Outcome<void> Terminal::write(std::string_view text) const { return write_all(STDOUT_FILENO, text); }

void Terminal::complain(std::string_view text) const {
    [[maybe_unused]] auto told = write_all(STDERR_FILENO, fmt::format("entrepot: {}\n", printable(text, utf8_)));
}

bool Terminal::confirm(std::string_view question) const {
    [[maybe_unused]] auto asked = write_all(STDERR_FILENO, fmt::format("{} [y/N] ", printable(question, utf8_)));
    auto answer = File::standard_input().read_line(answer_bytes_max);
    return answer && (*answer == "y" || *answer == "Y" || *answer == "yes" || *answer == "Yes");
}

Outcome<std::string> Terminal::ask_secret(std::string_view question) const {
    [[maybe_unused]] auto asked = write_all(STDERR_FILENO, fmt::format("{}: ", printable(question, utf8_)));
    std::optional<std::string> line;
    {
        Silence silence;
        if (!silence.works())
            return failed("the echo of the terminal cannot be turned off; use --password-stdin or --password-file");
        line = read_typed_line();
    }
    if (!line) return failed("nothing was typed");
    return std::move(*line);
}

}  // namespace entrepot::cli
