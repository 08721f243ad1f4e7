#include "upstream/failure.h"

#include "entrepot/base/log.h"

namespace entrepot {
namespace {

constexpr std::size_t why_bytes_max = 300;
constexpr Duration retry_after_obeyed =
    std::chrono::seconds(1);  // whoever wants to be left alone for longer is not asked again by the same exchange

bool is_temporary(int status) noexcept { return status == 500 || status == 502 || status == 503 || status == 504; }

}  // namespace

UpstreamFailure make_failure(Fault fault, Code code, std::string_view why, int status) {
    UpstreamFailure failure;
    failure.error = {fault, code, status};
    failure.why = escaped(why, why_bytes_max - 3);  // "..." follows what was cut
    return failure;
}

bool may_be_retried(const UpstreamFailure& failure) noexcept {
    if (failure.error.fault != Fault::upstream || failure.retry_after > retry_after_obeyed) return false;
    switch (failure.error.code) {
        case Code::refused:
        case Code::reset:
        case Code::closed:
        case Code::timeout: return true;
        case Code::bad_status: return is_temporary(failure.error.detail);
        default: return false;
    }
}

bool another_endpoint_may_help(const UpstreamFailure& failure) noexcept {
    if (failure.error.fault != Fault::upstream) return false;
    switch (failure.error.code) {
        case Code::not_found:
        case Code::unauthorized:
        case Code::denied:
        case Code::too_many_requests: return false;
        case Code::bad_status: return failure.error.detail >= 500;
        default: return true;
    }
}

Health health_of(const UpstreamFailure& failure) noexcept {
    if (failure.error.fault != Fault::upstream) return Health::unknown;
    switch (failure.error.code) {
        case Code::not_found:
        case Code::unauthorized:
        case Code::denied:
        case Code::too_many_requests: return Health::good;
        case Code::bad_status: return failure.error.detail >= 500 ? Health::bad : Health::good;
        case Code::refused:
        case Code::reset:
        case Code::closed:
        case Code::timeout:
        case Code::name_unresolved:
        case Code::tls_handshake:
        case Code::tls_certificate: return Health::bad;
        default: return Health::unknown;
    }
}

}  // namespace entrepot
