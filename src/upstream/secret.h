#pragma once
// Reads what a secret reference points to ("file:PATH", "env:NAME", "systemd:NAME"), at the time of use, so that a rotated
// secret is seen. Blocking: on the resolver lane.

#include "entrepot/base/result.h"

#include <string>

namespace entrepot {

constexpr std::size_t secret_bytes_max = 64 * 1024;

/// A user name and password; wiped when destroyed.
class Secret {
  public:
    Secret() = default;
    Secret(std::string user, std::string password) noexcept : user_(std::move(user)), password_(std::move(password)) {}
    Secret(Secret&&) = default;
    Secret& operator=(Secret&&) = default;
    ~Secret();
    const std::string& user() const noexcept { return user_; }
    const std::string& password() const noexcept { return password_; }
    /// "Basic <base64 of user:password>" (RFC 7617).
    std::string basic_header() const;

  private:
    std::string user_, password_;
};

/// The error says what to do and never shows a secret: missing, readable by others, empty, too large, with control bytes, a
/// user name with a colon.
Result<Secret, std::string> read_secret(const std::string& user_reference, const std::string& password_reference);

/// Overwrites the text before it goes, with what a longer text or a move left behind its end.
void wipe(std::string& text) noexcept;

}  // namespace entrepot
