#include "cli/admin_token.h"

#include "cli/file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace entrepot::cli {
namespace {

constexpr std::size_t secret_bytes_max = 4096;

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

/// The first line of `text`.
std::string first_line(std::string text) {
    text.resize(std::min(text.find('\n'), text.size()));
    if (text.ends_with('\r')) text.pop_back();
    return text;
}

Outcome<AdminToken> token_of(std::string value, std::string_view place) {
    if (!is_token(value)) return failed("{} holds no token: it must be one line of visible characters without blanks", place);
    return AdminToken{.value = std::move(value)};
}

}  // namespace

Outcome<std::string> read_secret_file(const std::string& path, std::string_view what, unsigned* owner) {
    auto file = File::open(path);
    if (!file) return failed("{} {} cannot be read: {}", what, path, std::strerror(file.error()));
    struct stat status {};
    if (::fstat(file->descriptor(), &status) != 0 || !S_ISREG(status.st_mode)) return failed("{} {} is no file", what, path);
    if (status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))
        return failed("{} {} is open to others, so it is not used: chmod 0600 {}", what, path, path);
    if (owner) *owner = status.st_uid;
    auto text = file->read(secret_bytes_max);
    if (!text) return failed("{} {} cannot be read: {}", what, path, std::strerror(text.error()));
    return first_line(std::move(*text));
}

Outcome<AdminToken> choose_token(const TokenPlaces& places) {
    if (places.value && !places.value->empty()) return token_of(*places.value, "ENTREPOT_TOKEN");
    const bool named = places.file && !places.file->empty();
    const std::string& path = named ? *places.file : places.default_file;
    unsigned owner = 0;
    auto value = read_secret_file(path, "the token file", &owner);
    if (!value && named) return value.error();
    if (!value) return AdminToken{.why_none = value.error().text};
    auto token = token_of(std::move(*value), path);
    if (token) token->of_this_box = !named;
    if (token) token->owner = owner;
    if (!token && !named) return AdminToken{.why_none = token.error().text};
    return token;
}

}  // namespace entrepot::cli
