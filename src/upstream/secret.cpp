#include "upstream/secret.h"

#include "entrepot/base/base64.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace entrepot {
namespace {

struct Text {
    std::string value;
};

Result<Text, std::string> read_secret_file(const std::string& path, bool must_be_private) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
    struct stat status {};
    std::string text(secret_bytes_max + 1, '\0');
    bool good = ::fstat(fd, &status) == 0;
    bool exposed = good && must_be_private && (status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP));
    auto got = good && !exposed ? ::read(fd, text.data(), text.size()) : 0;
    ::close(fd);
    if (exposed) return fmt::format("secret file {} may be read or changed by others: chmod 600 it", path);
    if (got < 0) return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
    if (static_cast<std::size_t>(got) > secret_bytes_max) return fmt::format("secret file {} is larger than {} KiB", path, secret_bytes_max / 1024);
    text.resize(static_cast<std::size_t>(got));
    return Text{std::move(text)};
}

Result<Text, std::string> read_reference(const std::string& reference) {
    auto colon = reference.find(':');
    auto scheme = reference.substr(0, colon);
    auto place = colon == std::string::npos ? std::string() : reference.substr(colon + 1);
    if (scheme == "file") return read_secret_file(place, true);
    if (scheme == "env") {
        const char* value = std::getenv(place.c_str());
        if (!value) return fmt::format("environment variable {} for a secret is not set", place);
        return Text{value};
    }
    if (scheme == "systemd") {
        const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
        if (!directory) return fmt::format("secret systemd:{} needs LoadCredential={} in the unit", place, place);
        return read_secret_file(std::string(directory) + "/" + place, false);
    }
    return std::string("a secret reference is neither file:, env: nor systemd:");
}

/// One trailing line end is the editor's, not the secret's; other control bytes would break a header.
Result<Text, std::string> read_checked(const std::string& reference) {
    auto text = read_reference(reference);
    if (!text) return text;
    auto& value = text->value;
    if (value.ends_with('\n')) value.pop_back();
    if (value.ends_with('\r')) value.pop_back();
    if (value.empty()) return fmt::format("the secret {} is empty", reference);
    for (unsigned char c : value) {
        if (c < 0x20 || c == 0x7f) return fmt::format("the secret {} contains control characters", reference);
    }
    return text;
}

}  // namespace

void wipe(std::string& text) noexcept {
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}

Secret::~Secret() {
    wipe(user_);
    wipe(password_);
}

std::string Secret::basic_header() const {
    auto pair = user_ + ":" + password_;
    auto encoded = base64(pair);
    wipe(pair);
    return "Basic " + encoded;
}

Result<Secret, std::string> read_secret(const std::string& user_reference, const std::string& password_reference) {
    auto user = read_checked(user_reference);
    if (!user) return user.error();
    auto password = read_checked(password_reference);
    if (!password) return password.error();
    return Secret(std::move(user->value), std::move(password->value));
}

}  // namespace entrepot
