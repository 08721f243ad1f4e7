#include "entrepot/cache/stale.h"

namespace entrepot {
namespace {

Duration limit_of(const StalePolicy& policy, FailureClass failure) noexcept {
    switch (failure) {
        case FailureClass::network: return policy.network;
        case FailureClass::server_error: return policy.server_error;
        case FailureClass::rate_limit: return policy.rate_limit;
        case FailureClass::denied: return policy.denied;
        case FailureClass::missing: return policy.missing;
    }
    return Duration::zero();
}

}  // namespace

std::string_view name_of(FailureClass failure) noexcept {
    switch (failure) {
        case FailureClass::network: return "network";
        case FailureClass::server_error: return "server error";
        case FailureClass::rate_limit: return "rate limit";
        case FailureClass::denied: return "denied";
        case FailureClass::missing: return "missing";
    }
    return "network";
}

FailureClass class_of(const Error& error) noexcept {
    switch (error.code) {
        case Code::not_found: return FailureClass::missing;
        case Code::unauthorized:
        case Code::denied: return FailureClass::denied;
        case Code::too_many_requests: return FailureClass::rate_limit;
        case Code::busy: return error.fault == Fault::capacity ? FailureClass::rate_limit : FailureClass::network;
        case Code::bad_status: return error.detail >= 500 ? FailureClass::server_error : FailureClass::network;
        default: return FailureClass::network;
    }
}

Duration stale_left(const StalePolicy& policy, FailureClass failure, Duration age) noexcept {
    auto limit = limit_of(policy, failure);
    if (limit == StalePolicy::forever) return limit;
    auto length = age < Duration::zero() ? -age : age;
    return limit > length ? limit - length : Duration::zero();
}

}  // namespace entrepot
