#include "upstream/login_record.h"

#include "upstream/credential_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

std::string_view code_of(const UpstreamFailure& failure) noexcept {
    if (failure.error.code == Code::denied) return "Denied";
    if (failure.error.code != Code::unauthorized) return "Unreachable";
    return failure.error.fault == Fault::policy ? "SecretUnreadable" : "Unauthorized";
}

std::string_view name_of_login(std::size_t login) noexcept { return login == 0 ? "primary" : "secondary"; }

}  // namespace

bool is_about_login(const UpstreamFailure& failure) noexcept {
    switch (failure.error.code) {
        case Code::unauthorized:
        case Code::denied: return true;
        case Code::address_forbidden:
        case Code::loop:
        case Code::unsupported: return false;
        default: return failure.error.fault == Fault::policy;  // its secret could not be had
    }
}

bool LoginRecord::is_avoided(std::size_t login, Instant time) const noexcept {
    return logins_[login].avoided_until_ns.load(std::memory_order_relaxed) > time.ns;
}

std::size_t LoginRecord::first(Instant time) const noexcept {
    return count_ > 1 && is_avoided(0, time) && !is_avoided(1, time) ? 1 : 0;
}

void LoginRecord::note_good(std::size_t login, Instant time) {
    ASSERT(login < count_);
    auto& state = logins_[login];
    auto renewed = state.good_at_ns.load(std::memory_order_relaxed);
    bool is_news = renewed == INT64_MIN || time.ns >= renewed + good_renewed.count() || is_avoided(login, time);
    if (!is_news) return;
    state.good_at_ns.store(time.ns, std::memory_order_relaxed);
    state.avoided_until_ns.store(0, std::memory_order_relaxed);
    set(login, CredentialHealth::Status::healthy, {}, {});
}

void LoginRecord::note_bad(std::size_t login, const UpstreamFailure& failure, Instant time) {
    ASSERT(login < count_);
    logins_[login].avoided_until_ns.store((time + avoided).ns, std::memory_order_relaxed);
    logins_[login].good_at_ns.store(INT64_MIN, std::memory_order_relaxed);
    set(login, CredentialHealth::Status::unhealthy, std::string(code_of(failure)), failure.why);
}

void LoginRecord::note_unknown(std::size_t login, const UpstreamFailure& failure) {
    ASSERT(login < count_);
    logins_[login].good_at_ns.store(INT64_MIN, std::memory_order_relaxed);
    set(login, CredentialHealth::Status::unknown, std::string(code_of(failure)), failure.why);
}

void LoginRecord::set(std::size_t login, CredentialHealth::Status status, std::string code, std::string message) {
    std::lock_guard guard(lock_);
    logins_[login].health = {status, std::move(code), std::move(message), wall_seconds()};
}

std::vector<CredentialHealth> LoginRecord::health() const {
    std::lock_guard guard(lock_);
    std::vector<CredentialHealth> healths;
    for (std::size_t login = 0; login < count_; ++login) healths.push_back(logins_[login].health);
    return healths;
}

bool LoginWalk::failed(const UpstreamFailure& failure, Instant time) {
    auto& record = credential_->state().logins;
    record.note_bad(login_, failure, time);
    failures_.emplace_back(login_, failure);
    for (std::size_t other = 0; other < record.count(); ++other) {
        bool was_tried = std::any_of(failures_.begin(), failures_.end(), [other](auto& each) { return each.first == other; });
        if (was_tried) continue;
        login_ = other;
        return true;
    }
    return false;
}

UpstreamFailure LoginWalk::failure() const {
    ASSERT(!failures_.empty());
    auto& last = failures_.back().second;
    if (failures_.size() == 1) return last;
    auto sorted = failures_;
    std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.first < b.first; });
    auto told = fmt::format("both logins of credential set '{}' fail", credential_->name());
    for (auto& [login, failure] : sorted) {
        constexpr std::size_t why_share = 110;  // of the 300 bytes that a failure has
        told += fmt::format("; {}: {}", name_of_login(login), std::string_view(failure.why).substr(0, why_share));
    }
    auto failure = make_failure(last.error.fault, last.error.code, told, last.error.detail);
    failure.retry_after = last.retry_after;
    return failure;
}

}  // namespace entrepot
