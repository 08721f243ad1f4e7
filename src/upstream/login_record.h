#pragma once
// How the logins of one credential were met, and in which order they are tried: the primary, unless it failed within the last minute and the secondary did not.
// Any thread.

#include "entrepot/base/clock.h"
#include "entrepot/upstream/credential.h"
#include "upstream/failure.h"

#include <array>
#include <atomic>
#include <mutex>

namespace entrepot {

class LoginRecord {
  public:
    static constexpr Duration avoided = std::chrono::seconds(60);
    static constexpr Duration good_renewed = std::chrono::seconds(60);  ///< how old "checked" of a login in use may be

    /// An identity counts as one login.
    explicit LoginRecord(std::size_t count) noexcept : count_(count) {}

    std::size_t count() const noexcept { return count_; }
    std::size_t first(Instant time) const noexcept;
    void note_good(std::size_t login, Instant time);
    void note_bad(std::size_t login, const UpstreamFailure& failure, Instant time);
    /// The question whether it is good could not be answered.
    void note_unknown(std::size_t login, const UpstreamFailure& failure);
    std::vector<CredentialHealth> health() const;

  private:
    struct Login {
        std::atomic<std::int64_t> avoided_until_ns{0};
        std::atomic<std::int64_t> good_at_ns{INT64_MIN};
        CredentialHealth health;  // under the lock
    };
    bool is_avoided(std::size_t login, Instant time) const noexcept;
    void set(std::size_t login, CredentialHealth::Status status, std::string code, std::string message);

    std::size_t count_;
    std::array<Login, credential_logins_max> logins_;
    mutable std::mutex lock_;
};

/// A failure that says something about the login rather than about the way to whoever judges it; another one may be met better.
bool is_about_login(const UpstreamFailure& failure) noexcept;

/// One request's way through the logins of a credential.
class LoginWalk {
  public:
    LoginWalk(CredentialPointer credential, std::size_t begin) noexcept : credential_(std::move(credential)), login_(begin) {}

    std::size_t login() const noexcept { return login_; }
    /// Notes why the login was no good. True when there is another one to try, which is login() then.
    bool failed(const UpstreamFailure& failure, Instant time);
    /// Of all that were tried.
    UpstreamFailure failure() const;

  private:
    CredentialPointer credential_;
    std::size_t login_;
    std::vector<std::pair<std::size_t, UpstreamFailure>> failures_;
};

}  // namespace entrepot
