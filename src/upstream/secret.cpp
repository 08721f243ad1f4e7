#include "upstream/secret.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace entrepot {
namespace {

/// What a reference points to; wiped unless it was moved on.
struct Text {
    std::string value;
    Text() = default;
    Text(Text&&) = default;
    Text& operator=(Text&&) = default;
    ~Text() { wipe(value); }
};

class File {
  public:
    // O_NONBLOCK: a named pipe in the place of the file must not hold the lane.
    explicit File(const std::string& path) noexcept
        : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int descriptor() const noexcept { return descriptor_; }

  private:
    int descriptor_;
};

/// Group-readable is how a service's files are kept (root:entrepot 0640); what everybody can read or others can write is no
/// secret.
std::optional<std::string> fault_of_file(const struct stat& status, const std::string& path, bool must_be_private) {
    if (!S_ISREG(status.st_mode)) return fmt::format("secret file {} is not a file", path);
    if (must_be_private && (status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))) {
        return fmt::format("secret file {} may be read or changed by others: chmod 600 it", path);
    }
    return std::nullopt;
}

Result<Text, std::string> read_secret_file(const std::string& path, bool must_be_private) {
    File file(path);
    struct stat status {};
    if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) {
        return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
    }
    if (auto fault = fault_of_file(status, path, must_be_private)) return *std::move(fault);
    Text text;
    text.value.resize(secret_bytes_max + 1);
    auto got = ::read(file.descriptor(), text.value.data(), text.value.size());
    if (got < 0) return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
    if (static_cast<std::size_t>(got) > secret_bytes_max)
        return fmt::format("secret file {} is larger than {} KiB", path, secret_bytes_max / 1024);
    text.value.resize(static_cast<std::size_t>(got));
    return text;
}

Result<Text, std::string> read_reference(const std::string& reference) {
    auto colon = reference.find(':');
    auto scheme = reference.substr(0, colon);
    auto place = colon == std::string::npos ? std::string() : reference.substr(colon + 1);
    if (scheme == "file") return read_secret_file(place, true);
    if (scheme == "env") {
        const char* value = std::getenv(place.c_str());
        if (!value) return fmt::format("environment variable {} for a secret is not set", place);
        Text text;
        text.value = value;
        return text;
    }
    if (scheme == "systemd") {
        const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
        if (!directory) return fmt::format("secret systemd:{} needs LoadCredential={} in the unit", place, place);
        // The directory itself is private to the service, and systemd chooses the modes in it.
        return read_secret_file(std::string(directory) + "/" + place, false);
    }
    return std::string("a secret reference is neither file:, env: nor systemd:");
}

/// One trailing line end is the editor's, not the secret's. Other control bytes are refused: RFC 7617 section 2 forbids them,
/// and whoever wrote them meant something else than a password.
Result<Text, std::string> read_checked(const std::string& reference) {
    auto text = read_reference(reference);
    if (!text) return text.error();
    auto& value = text->value;
    if (value.ends_with('\n')) {
        value.pop_back();
        if (value.ends_with('\r')) value.pop_back();
    }
    if (value.empty()) return fmt::format("the secret {} is empty", reference);
    for (unsigned char c : value) {
        if (c < 0x20 || c == 0x7f)
            return fmt::format("the secret {} holds line ends or other control characters (write a JSON key on one line)",
                               reference);
    }
    return text;
}

constexpr std::size_t base64_length(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

/// RFC 4648 section 4.
void append_base64(std::string& out, std::string_view bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        auto byte = [&](std::size_t offset) {
            return at + offset < bytes.size() ? static_cast<unsigned char>(bytes[at + offset]) : 0u;
        };
        auto group = byte(0) << 16 | byte(1) << 8 | byte(2);
        auto known = std::min<std::size_t>(bytes.size() - at, 3) + 1;  // digits; the rest is padding
        for (std::size_t i = 0; i < 4; ++i) out += i < known ? digits[group >> (18 - 6 * i) & 63] : '=';
    }
}

}  // namespace

void wipe(std::string& text) noexcept {
    text.resize(text.capacity());  // never allocates
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

Secret::~Secret() {
    wipe(user_);
    wipe(password_);
}

std::string Secret::basic_header() const {
    auto pair = user_ + ":" + password_;
    std::string header = "Basic ";
    header.reserve(header.size() + base64_length(pair.size()));  // no copy is left behind in outgrown memory
    append_base64(header, pair);
    wipe(pair);
    return header;
}

Result<Secret, std::string> read_secret(const std::string& user_reference, const std::string& password_reference) {
    auto user = read_checked(user_reference);
    if (!user) return user.error();
    // RFC 7617 section 2: everything behind the first colon would be taken for the password.
    if (user->value.find(':') != std::string::npos) return fmt::format("the user name in {} holds a colon", user_reference);
    auto password = read_checked(password_reference);
    if (!password) return password.error();
    return Secret(std::move(user->value), std::move(password->value));
}

}  // namespace entrepot
