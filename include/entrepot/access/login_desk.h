#pragma once
// Where passwords are checked, for all shards: on one loop, the desk's home, which gives the slow hashing to the lane. It bounds how many wait, lets
// everybody who shows the same account and password share one check, limits who tries in vain, and never makes a shard wait for a hash.

#include "entrepot/access/try_limits.h"
#include "entrepot/access/verified_logins.h"
#include "entrepot/base/counter.h"
#include "entrepot/io/blocking.h"

#include <memory>
#include <string>

namespace entrepot {

enum class LoginOutcome : std::uint8_t {
    right,
    wrong,
    too_many_tries,  ///< of this source; `retry_after` says when again
    busy,            ///< too many are waiting, or no memory for a hash
};

struct LoginAnswer {
    LoginOutcome outcome = LoginOutcome::wrong;
    Duration retry_after{0};
};

class LoginDesk {
  public:
    struct Options {
        std::size_t checks_max =
            64;  ///< hashes wanted at once; the lane makes two at a time, so the last of them waits two thirds of a second
        std::size_t sharing_max = 4096;  ///< who waits for a check that another began
        TryLimits::Options limits;
        VerifiedLogins::Options verified;
    };

    LoginDesk() : LoginDesk(Options()) {}
    explicit LoginDesk(const Options& options);

    /// Before any loop runs.
    void set_home(Loop& home) noexcept { home_ = &home; }

    /// From any shard: whether `password` is the one of `hash`. `user` is whom the source claims to be, known or not; who is not known is checked against
    /// hash_of_nobody(), so that he waits as long.
    Task<LoginAnswer> check(std::uint64_t source, std::string user, std::string hash, std::string password);

    struct Counters {
        Counter right, wrong, too_many_tries, busy;
    };
    /// One writer, the home; read from any thread.
    const Counters& counters() const noexcept { return counters_; }

  private:
    struct Check {
        std::optional<LoginOutcome> outcome;
        Condition ended;
    };
    Task<LoginAnswer> check_at_home(std::uint64_t source, const std::string& user, const std::string& hash,
                                    const std::string& password);
    Task<LoginOutcome> share_or_begin(const std::string& hash, const std::string& password);
    Task<LoginOutcome> hash_now(const std::string& hash, const std::string& password);
    LoginAnswer count(LoginAnswer answer) noexcept;

    Options options_;
    Loop* home_ = nullptr;
    TryLimits limits_;
    VerifiedLogins verified_;
    std::unordered_map<VerifiedLogins::Proof, std::shared_ptr<Check>, VerifiedLogins::ProofHash> running_;
    std::size_t sharing_ = 0;
    Counters counters_;
};

}  // namespace entrepot
