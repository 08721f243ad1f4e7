#pragma once
// Who is asking: one shard's answer to an Authorization field. Tokens and what was verified a moment ago are judged here and now; everything else goes to the desk.

#include "entrepot/access/login_desk.h"
#include "entrepot/access/pull_token.h"
#include "entrepot/access/shown_credentials.h"
#include "entrepot/rules/account_table.h"

#include <memory>
#include <optional>

namespace entrepot {

/// Somebody at the door.
struct Visitor {
    enum class Standing : std::uint8_t {
        nobody,          ///< showed nothing
        known,           ///< `account`, or anybody with a token of ours when that is null
        refused,         ///< showed what is not valid
        too_many_tries,  ///< and tried too often from where he is
        busy,            ///< nobody had time to look
    };
    Standing standing = Standing::nobody;
    std::shared_ptr<const Account> account;
    std::optional<PullToken> token;  ///< what he showed, if it was one
    Duration retry_after{0};
};

class Doorkeeper {
  public:
    struct Options {
        VerifiedLogins::Options verified;
        std::size_t waiting_max = 128;  ///< visitors of one shard that wait for the desk while they hold their request's buffer
    };
    Doorkeeper(LoginDesk& desk, const TokenKey& key) : Doorkeeper(desk, key, Options()) {}
    Doorkeeper(LoginDesk& desk, const TokenKey& key, const Options& options)
        : desk_(desk), key_(key), options_(options), verified_(options.verified) {}

    /// `authorization` lives until this is done. `source` is a hash of the address that asks. `accounts` are those of the request's moment.
    Task<Visitor> recognise(std::shared_ptr<const AccountTable> accounts, std::string_view authorization, std::uint64_t source);
    /// The same for a name and password that came in a form.
    Task<Visitor> log_in(std::shared_ptr<const AccountTable> accounts, std::string user, std::string password,
                         std::uint64_t source);

    /// A token that says who `visitor` is, for these repositories.
    std::string token_for(const Visitor& visitor, std::vector<std::string> repositories) const;

  private:
    Visitor recognise_token(const AccountTable& accounts, std::string_view text) const;

    LoginDesk& desk_;
    const TokenKey& key_;
    Options options_;
    VerifiedLogins verified_;
    std::size_t waiting_ = 0;
};

}  // namespace entrepot
