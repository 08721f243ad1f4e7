#pragma once
// What a secret reference points to, where this machine keeps it: a file, a variable, a credential of the unit. Read at the time of use, so that a rotated secret is
// seen. Blocking: on the resolver lane. The errors say what to do and never show a secret.

#include "entrepot/base/result.h"
#include "entrepot/rules/secret_reference.h"

#include <string>

namespace entrepot {

constexpr std::size_t secret_bytes_max = 64 * 1024;

/// Overwrites the text before it goes, with what a longer text or a move left behind its end.
void wipe(std::string& text) noexcept;

/// One secret; wiped when destroyed.
class SecretText {
  public:
    SecretText() = default;
    explicit SecretText(std::string text) noexcept : text_(std::move(text)) {}
    SecretText(SecretText&& other) noexcept : text_(std::move(other.text_)) { wipe(other.text_); }
    SecretText& operator=(SecretText&& other) noexcept {
        std::swap(text_, other.text_);
        return *this;
    }
    ~SecretText() { wipe(text_); }
    std::string& text() noexcept { return text_; }
    const std::string& text() const noexcept { return text_; }

  private:
    std::string text_;
};

/// A user name and password; wiped when destroyed.
class Secret {
  public:
    Secret(std::string user, std::string password) noexcept : user_(std::move(user)), password_(std::move(password)) {}
    Secret(SecretText user, SecretText password) noexcept : user_(std::move(user)), password_(std::move(password)) {}
    const std::string& user() const noexcept { return user_.text(); }
    const std::string& password() const noexcept { return password_.text(); }
    /// "Basic <base64 of user:password>" (RFC 7617).
    std::string basic_header() const;

  private:
    SecretText user_, password_;
};

using SecretAnswer = Result<SecretText, std::string>;

/// Of this machine; refused when others may read or change it, when it belongs to a stranger, when it is missing, too large or checked_secret() refuses it.
SecretAnswer read_secret(const SecretReference& reference);

/// As a password must be, wherever it came from: without the one line end that an editor put behind it, not empty, without control bytes.
SecretAnswer checked_secret(SecretText secret, const std::string& place);

/// User name and password as one login. RFC 7617 section 2: what stands behind the first colon would be taken for the password.
Result<Secret, std::string> login_of(SecretText user, SecretText password, const SecretReference& user_reference);

/// A file of ours that is handed on as it is, for who it is shown to: a key with its certificate (`must_be_private`), or a token that another program
/// keeps fresh, which others may read but not change.
SecretAnswer read_own_file(const std::string& path, bool must_be_private);

/// The key that Azure Arc's agent wrote so that only a member of its group can read it: a plain file of 4 KiB at most, never a link.
SecretAnswer read_challenge_file(const std::string& path);

}  // namespace entrepot
