#include "entrepot/base/error.h"

namespace entrepot {

std::string_view name_of(Fault fault) noexcept {
    switch (fault) {
        case Fault::client: return "client";
        case Fault::upstream: return "upstream";
        case Fault::storage: return "storage";
        case Fault::capacity: return "capacity";
        case Fault::policy: return "policy";
        case Fault::shutdown: return "shutdown";
    }
    return "unknown";
}

std::string_view name_of(Code code) noexcept {
    switch (code) {
        case Code::closed: return "closed";
        case Code::reset: return "reset";
        case Code::timeout: return "timeout";
        case Code::refused: return "refused";
        case Code::name_unresolved: return "name_unresolved";
        case Code::address_forbidden: return "address_forbidden";
        case Code::tls_handshake: return "tls_handshake";
        case Code::tls_certificate: return "tls_certificate";
        case Code::bad_message: return "bad_message";
        case Code::too_large: return "too_large";
        case Code::bad_status: return "bad_status";
        case Code::unauthorized: return "unauthorized";
        case Code::denied: return "denied";
        case Code::not_found: return "not_found";
        case Code::too_many_requests: return "too_many_requests";
        case Code::wrong_digest: return "wrong_digest";
        case Code::wrong_length: return "wrong_length";
        case Code::no_space: return "no_space";
        case Code::io_failed: return "io_failed";
        case Code::corrupt: return "corrupt";
        case Code::unsupported: return "unsupported";
        case Code::no_rule: return "no_rule";
        case Code::loop: return "loop";
        case Code::busy: return "busy";
        case Code::stopping: return "stopping";
    }
    return "unknown";
}

}  // namespace entrepot
