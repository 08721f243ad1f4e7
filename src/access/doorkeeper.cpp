#include "entrepot/access/doorkeeper.h"

#include "entrepot/access/password.h"
#include "entrepot/access/token_secret.h"

namespace entrepot {
namespace {

Visitor visitor_of(LoginAnswer answer) noexcept {
    Visitor visitor;
    visitor.retry_after = answer.retry_after;
    switch (answer.outcome) {
        case LoginOutcome::right: visitor.standing = Visitor::Standing::known; break;
        case LoginOutcome::wrong: visitor.standing = Visitor::Standing::refused; break;
        case LoginOutcome::too_many_tries: visitor.standing = Visitor::Standing::too_many_tries; break;
        case LoginOutcome::busy: visitor.standing = Visitor::Standing::busy; break;
    }
    return visitor;
}

/// What the account's kind of secret is compared with; somebody of another kind is nobody here.
std::string hash_to_check(const Account* account, AccountKind kind) {
    if (account && account->kind == kind) return account->hash;
    return kind == AccountKind::password ? hash_of_nobody() : std::string();
}

}  // namespace

Task<Visitor> Doorkeeper::recognise(std::shared_ptr<const AccountTable> accounts, std::string_view authorization,
                                    std::uint64_t source) {
    auto credentials = parse_authorization(authorization);
    Visitor visitor;
    switch (credentials.kind) {
        case ShownKind::none: co_return visitor;
        case ShownKind::unreadable: visitor.standing = Visitor::Standing::refused; co_return visitor;
        case ShownKind::bearer: co_return recognise_token(*accounts, credentials.token);
        case ShownKind::basic: break;
    }
    auto login = log_in(std::move(accounts), credentials.user, credentials.password, source);
    co_return co_await login;
}

Visitor Doorkeeper::recognise_token(const AccountTable& accounts, std::string_view text) const {
    Visitor visitor;
    visitor.standing = Visitor::Standing::refused;
    auto token = verify_pull_token(key_, text, wall_seconds());
    if (!token) return visitor;
    if (!token->account.empty()) {
        visitor.account = accounts.find(token->account);
        bool still = visitor.account && stamp_of(*visitor.account) == token->stamp && !visitor.account->expired(wall_seconds());
        if (!still) return visitor;
    }
    visitor.standing = Visitor::Standing::known;
    visitor.token = std::move(token);
    return visitor;
}

Task<Visitor> Doorkeeper::log_in(std::shared_ptr<const AccountTable> accounts, std::string user, std::string password,
                                 std::uint64_t source) {
    auto account = accounts->find(user);
    auto kind = looks_like_token_secret(password) ? AccountKind::token : AccountKind::password;
    auto hash = hash_to_check(account.get(), kind);
    LoginAnswer answer;
    if (kind == AccountKind::token) {
        // 256 bits need no limit of tries, and no lane.
        answer.outcome = verify_token_secret(password, hash) ? LoginOutcome::right : LoginOutcome::wrong;
    } else if (password.size() <= password_bytes_max) {
        auto proof = verified_.proof_of(hash, password);
        if (verified_.knows(proof, Loop::current().time())) answer.outcome = LoginOutcome::right;
        else if (waiting_ >= options_.waiting_max) answer = {LoginOutcome::busy, seconds(1)};
        else {
            ++waiting_;
            auto check = desk_.check(source, std::move(user), std::move(hash), password);
            answer = co_await check;
            --waiting_;
            if (answer.outcome == LoginOutcome::right) verified_.remember(proof, Loop::current().time());
        }
    }
    wipe_secret(password);
    auto visitor = visitor_of(answer);
    if (visitor.standing != Visitor::Standing::known) co_return visitor;
    ASSERT(account);
    // An account that has run out is as unknown as one that was removed.
    if (account->expired(wall_seconds())) visitor.standing = Visitor::Standing::refused;
    else visitor.account = std::move(account);
    co_return visitor;
}

std::string Doorkeeper::token_for(const Visitor& visitor, std::vector<std::string> repositories) const {
    return sign(key_, make_pull_token(visitor.account.get(), std::move(repositories), wall_seconds()));
}

}  // namespace entrepot
