#include "entrepot/access/login_desk.h"

#include "entrepot/access/password.h"
#include "entrepot/access/shown_credentials.h"

namespace entrepot {
namespace {

constexpr Duration busy_pause = seconds(1);

}  // namespace

LoginDesk::LoginDesk(const Options& options) : options_(options), limits_(options.limits), verified_(options.verified) {}

Task<LoginAnswer> LoginDesk::check(std::uint64_t source, std::string user, std::string hash, std::string password) {
    ASSERT(home_);
    auto work = [&] { return check_at_home(source, user, hash, password); };
    auto answer = co_await run_on(*home_, work);
    wipe_secret(password);
    co_return answer;
}

Task<LoginAnswer> LoginDesk::check_at_home(std::uint64_t source, const std::string& user, const std::string& hash,
                                           const std::string& password) {
    auto proof = verified_.proof_of(hash, password);
    if (verified_.knows(proof, home_->time())) co_return count({LoginOutcome::right});
    if (auto wait = limits_.refusal(source, user, home_->time())) co_return count({LoginOutcome::too_many_tries, *wait});
    auto outcome = co_await share_or_begin(hash, password);
    if (outcome == LoginOutcome::right) verified_.remember(proof, home_->time());
    if (outcome == LoginOutcome::wrong) limits_.count_failure(source, user, home_->time());
    co_return count({outcome, outcome == LoginOutcome::busy ? busy_pause : Duration(0)});
}

Task<LoginOutcome> LoginDesk::share_or_begin(const std::string& hash, const std::string& password) {
    auto proof = verified_.proof_of(hash, password);
    auto running = running_.find(proof);
    if (running != running_.end()) {
        if (sharing_ >= options_.sharing_max) co_return LoginOutcome::busy;
        auto check = running->second;
        ++sharing_;
        while (!check->outcome) (void)co_await check->ended.wait();
        --sharing_;
        co_return *check->outcome;
    }
    if (running_.size() >= options_.checks_max) co_return LoginOutcome::busy;
    auto mine = std::make_shared<Check>();
    running_.emplace(proof, mine);
    auto outcome = co_await hash_now(hash, password);
    running_.erase(proof);
    mine->outcome = outcome;
    mine->ended.notify_all();
    co_return outcome;
}

Task<LoginOutcome> LoginDesk::hash_now(const std::string& hash, const std::string& password) {
    auto work = [&] { return verify_password(password, hash); };
    auto right = co_await run_blocking(Lane::password, work);
    if (!right) co_return LoginOutcome::busy;
    co_return *right ? LoginOutcome::right : LoginOutcome::wrong;
}

LoginAnswer LoginDesk::count(LoginAnswer answer) noexcept {
    switch (answer.outcome) {
        case LoginOutcome::right: counters_.right.add(); break;
        case LoginOutcome::wrong: counters_.wrong.add(); break;
        case LoginOutcome::too_many_tries: counters_.too_many_tries.add(); break;
        case LoginOutcome::busy: counters_.busy.add(); break;
    }
    return answer;
}

}  // namespace entrepot
