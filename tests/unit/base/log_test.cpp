#include "entrepot/base/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

using namespace entrepot;

namespace {

// Standard error goes to a pipe while this lives; `text` is what arrived. Bounded by the pipe's 64 KiB.
class StderrCapture {
  public:
    StderrCapture() {
        REQUIRE(::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) == 0);
        kept_ = ::dup(STDERR_FILENO);
        REQUIRE(::dup2(ends_[1], STDERR_FILENO) == STDERR_FILENO);
    }
    ~StderrCapture() {
        ::dup2(kept_, STDERR_FILENO);
        for (int descriptor : {kept_, ends_[0], ends_[1]}) ::close(descriptor);
    }
    std::string text() {
        std::string all(65536, '\0');
        const auto count = ::read(ends_[0], all.data(), all.size());
        all.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return all;
    }

  private:
    int ends_[2];
    int kept_;
};

}  // namespace

TEST_CASE("log: printable text is itself") { CHECK(escaped("GET /v2/ HTTP/1.1 \"~") == "GET /v2/ HTTP/1.1 \"~"); }

TEST_CASE("log: control bytes, escapes, bytes above ASCII and NUL are written in hex") {
    using namespace std::string_view_literals;
    CHECK(escaped("a\nentrepot: forged") == "a\\x0aentrepot: forged");
    CHECK(escaped("\x1b[2J") == "\\x1b[2J");
    CHECK(escaped("\xc3\xa9\xff\x7f\0end"sv) == "\\xc3\\xa9\\xff\\x7f\\x00end");
}

TEST_CASE("log: text is cut at the bound, and says so") {
    CHECK(escaped("12345", 5) == "12345");
    CHECK(escaped("123456", 5) == "12345...");
    CHECK(escaped("1234\n", 5) == "1234...");
    CHECK(escaped("\n", 4) == "\\x0a");
    CHECK(escaped("x", 0) == "...");
    CHECK(escaped("", 0) == "");
    CHECK(escaped(std::string(10'000'000, 'x')).size() == 1024 + 3);
}

TEST_CASE("log: a hostile name stays on its line") {
    StderrCapture captured;
    log_warning("cannot fetch {}", "a\nentrepot: error: all is lost\x1b[31m");
    CHECK(captured.text() == "entrepot: warning: cannot fetch a\\x0aentrepot: error: all is lost\\x1b[31m\n");
}

TEST_CASE("log: lines below the lowest level are dropped") {
    StderrCapture captured;
    log_line(Level::debug, "unseen");
    set_log_level(Level::error);
    log_info("unseen");
    log_warning("unseen");
    log_error("seen");
    set_log_level(Level::info);
    log_info("seen too");
    CHECK(captured.text() == "entrepot: error: seen\nentrepot: seen too\n");
}
