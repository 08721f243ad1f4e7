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

constexpr std::size_t challenge_bytes_max = 4096;

class File {
  public:
    // O_NONBLOCK: a named pipe in the place of the file must not hold the lane.
    explicit File(const std::string& path, int further_flags = 0) noexcept
        : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | further_flags)) {}
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int descriptor() const noexcept { return descriptor_; }

  private:
    int descriptor_;
};

enum class Privacy : std::uint8_t { secret, shown, unit };

/// Group-readable is how a service's files are kept (root:entrepot 0640); what everybody can read or others can write is no
/// secret, nor is what another user may exchange for something else.
std::optional<std::string> fault_of_file(const struct stat& status, const std::string& path, Privacy privacy) {
    if (!S_ISREG(status.st_mode)) return fmt::format("secret file {} is not a file", path);
    if (privacy == Privacy::unit) return std::nullopt;
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        return fmt::format("secret file {} belongs to user {}: chown it to root or to the user of this server", path,
                           status.st_uid);
    auto forbidden = privacy == Privacy::secret ? S_IROTH | S_IWOTH | S_IWGRP : S_IWOTH | S_IWGRP;
    if ((status.st_mode & forbidden) == 0) return std::nullopt;
    return fmt::format("secret file {} may be read or changed by others: chmod 600 it", path);
}

/// In a directory that everybody may write to, and that does not keep what is others' (/tmp does), anybody can put another file in its place.
std::optional<std::string> fault_of_directory(const std::string& path) {
    auto directory = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    struct stat status {};
    bool is_open = ::stat(directory.c_str(), &status) == 0 && (status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX);
    if (!is_open) return std::nullopt;
    return fmt::format("secret file {} lies in a directory that everybody may write to: chmod o-w {}", path, directory);
}

SecretAnswer read_bounded(const File& file, const std::string& path, std::size_t bytes_max) {
    SecretText secret(std::string(bytes_max + 1, '\0'));
    auto& text = secret.text();
    std::size_t size = 0;
    while (size < text.size()) {
        auto got = ::read(file.descriptor(), text.data() + size, text.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    if (size > bytes_max) return fmt::format("secret file {} is larger than {} KiB", path, bytes_max / 1024);
    text.resize(size);
    return secret;
}

SecretAnswer read_secret_file(const std::string& path, Privacy privacy) {
    File file(path);
    struct stat status {};
    if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) {
        return fmt::format("secret file {} cannot be read: {}", path, std::strerror(errno));
    }
    if (auto fault = fault_of_file(status, path, privacy)) return *std::move(fault);
    if (privacy == Privacy::secret) {
        if (auto fault = fault_of_directory(path)) return *std::move(fault);
    }
    return read_bounded(file, path, secret_bytes_max);
}

SecretAnswer read_variable(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    if (!value) return fmt::format("environment variable {} for a secret is not set", name);
    if (std::strlen(value) > secret_bytes_max)
        return fmt::format("environment variable {} is larger than {} KiB", name, secret_bytes_max / 1024);
    return SecretText(value);
}

SecretAnswer read_place(const SecretReference& reference) {
    auto& place = reference.place;
    switch (reference.kind) {
        case SecretKind::file: return read_secret_file(place, Privacy::secret);
        case SecretKind::env: return read_variable(place);
        case SecretKind::systemd: {
            const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
            if (!directory) return fmt::format("secret systemd:{} needs LoadCredential={} in the unit", place, place);
            // The directory itself is private to the service, and systemd chooses the modes in it.
            return read_secret_file(std::string(directory) + "/" + place, Privacy::unit);
        }
        case SecretKind::vault:
        case SecretKind::key_vault: break;
    }
    return std::string("this secret is kept in a vault, which cannot be asked from here");
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

std::string Secret::basic_header() const {
    std::string pair;
    pair.reserve(user().size() + 1 + password().size());
    pair.append(user()).append(1, ':').append(password());
    std::string header = "Basic ";
    header.reserve(header.size() + base64_length(pair.size()));  // no copy is left behind in outgrown memory
    append_base64(header, pair);
    wipe(pair);
    return header;
}

SecretAnswer checked_secret(SecretText secret, const std::string& place) {
    auto& value = secret.text();
    if (value.ends_with('\n')) {
        value.pop_back();
        if (value.ends_with('\r')) value.pop_back();
    }
    if (value.empty()) return fmt::format("the secret {} is empty", place);
    if (value.size() > secret_bytes_max)
        return fmt::format("the secret {} is larger than {} KiB", place, secret_bytes_max / 1024);
    for (unsigned char c : value) {
        // RFC 7617 section 2 forbids them, and whoever wrote them meant something else than a password.
        if (c < 0x20 || c == 0x7f)
            return fmt::format("the secret {} holds line ends or other control characters (write a JSON key on one line)", place);
    }
    return secret;
}

SecretAnswer read_secret(const SecretReference& reference) {
    auto secret = read_place(reference);
    if (!secret) return secret.error();
    return checked_secret(*std::move(secret), reference.text());
}

Result<Secret, std::string> login_of(SecretText user, SecretText password, const SecretReference& user_reference) {
    if (user.text().find(':') != std::string::npos)
        return fmt::format("the user name in {} holds a colon", user_reference.text());
    return Secret(std::move(user), std::move(password));
}

SecretAnswer read_own_file(const std::string& path, bool must_be_private) {
    auto secret = read_secret_file(path, must_be_private ? Privacy::secret : Privacy::shown);
    if (secret && secret->text().empty()) return fmt::format("secret file {} is empty", path);
    return secret;
}

SecretAnswer read_challenge_file(const std::string& path) {
    File file(path, O_NOFOLLOW);
    struct stat status {};
    if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0)
        return fmt::format("Azure Arc's challenge file cannot be read ({}): add the user of this server to the group himds",
                           std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return std::string("Azure Arc's challenge file is not a file");
    return read_bounded(file, path, challenge_bytes_max);
}

}  // namespace entrepot
