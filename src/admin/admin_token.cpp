#include "entrepot/admin/admin_token.h"

#include "entrepot/base/base64.h"
#include "entrepot/base/log.h"
#include "entrepot/base/random.h"
#include "entrepot/io/await.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace entrepot {
namespace {

constexpr const char* draft_name = "admin.token.new";
constexpr mode_t mode = 0600;
constexpr mode_t others = 0077;

std::string make_text() {
    std::array<std::byte, 32> key;
    random_key(key);
    auto text = base64(text_of(key));
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    text.resize(text.find('='));
    return text;
}

bool is_token(std::string_view text) {
    return text.size() >= AdminToken::bytes_min && text.size() <= AdminToken::bytes_max &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    volatile unsigned char different = 0;  // else a compiler may leave the loop early
    for (std::size_t i = 0; i < a.size(); ++i) different = different | static_cast<unsigned char>(a[i] ^ b[i]);
    return different == 0;
}

AdminToken::~AdminToken() {
    if (directory_ >= 0) close_directory(directory_);
}

Task<void> AdminToken::prepare() {
    auto opened = open_directory(path_, false);
    if (!opened) {
        log_error("cannot open {} for {}: {}", path_, file_name, std::strerror(opened.error().detail));
        co_return;
    }
    directory_ = *opened;
    int file = co_await open_file(directory_, file_name, O_RDONLY | O_NONBLOCK);
    if (file == -ENOENT) {
        int made = co_await make(make_text());
        if (made < 0) log_error("cannot make {}/{}: {}: no token is accepted", path_, file_name, std::strerror(-made));
        else log_info("made {}/{}: who may read it may change rules and accounts over TCP", path_, file_name);
        co_return;
    }
    if (file >= 0) Loop::current().ring().close(file);
    auto text = co_await read();
    if (!text) log_warning("{}/{} {}: no token is accepted until that is mended", path_, file_name, text.error());
}

/// A crash at any point leaves no token or a whole one, never a part of one.
Task<int> AdminToken::make(std::string text) {
    (void)co_await unlink_file(directory_, draft_name);
    int written = co_await write_draft(std::move(text));
    if (written < 0) co_return written;
    int renamed = co_await rename_file(directory_, draft_name, directory_, file_name, RENAME_NOREPLACE);
    if (renamed < 0) co_return renamed;
    co_return co_await sync_file(directory_);
}

Task<int> AdminToken::write_draft(std::string text) {
    text += '\n';
    int file = co_await open_file(directory_, draft_name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (file < 0) co_return file;
    auto bytes = bytes_of(text);
    int result = co_await write_file(file, bytes, 0);
    if (result >= 0 && static_cast<std::size_t>(result) < bytes.size()) result = -EIO;
    if (result >= 0) result = co_await sync_file(file);
    Loop::current().ring().close(file);
    co_return result;
}

/// The text, or a phrase that says what is wrong with the file.
Task<Result<AdminToken::Held, std::string>> AdminToken::read() {
    int file = co_await open_file(directory_, file_name, O_RDONLY | O_NONBLOCK);
    if (file < 0) co_return fmt::format("cannot be opened ({})", std::strerror(-file));
    auto text = co_await read_open(file);
    Loop::current().ring().close(file);
    co_return text;
}

Task<Result<AdminToken::Held, std::string>> AdminToken::read_open(int file) {
    struct ::stat status {};
    int known = Loop::current().ring().status(file, status);
    if (known < 0) co_return fmt::format("cannot be read ({})", std::strerror(-known));
    if (!S_ISREG(status.st_mode)) co_return std::string("is no file");
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) co_return std::string("belongs to another user");
    if (status.st_mode & others) co_return std::string("may be read or written by others (chmod 600)");
    std::string text(bytes_max + 1, '\0');  // room for its line end
    auto into = std::as_writable_bytes(std::span(text));
    int got = co_await read_file(file, into, 0);
    if (got < 0) co_return fmt::format("cannot be read ({})", std::strerror(-got));
    text.resize(static_cast<std::size_t>(got));
    if (text.ends_with('\n')) text.pop_back();
    if (!is_token(text))
        co_return fmt::format("does not hold {} to {} visible ASCII characters (remove it, and a start makes a new one)",
                              bytes_min, bytes_max);
    Held held{std::move(text)};
    co_return held;
}

Task<AdminToken::Verdict> AdminToken::check(std::string presented) {
    if (directory_ < 0) co_return Verdict::unusable;
    auto text = co_await read();
    if (!text) co_return Verdict::unusable;
    co_return equal_in_constant_time(presented, text->text) ? Verdict::right : Verdict::wrong;
}

}  // namespace entrepot
