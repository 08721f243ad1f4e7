#include "entrepot/cache/stale.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("stale: each failure is of one class") {
    struct Row {
        Error error;
        FailureClass expected;
    };
    for (auto& row : {Row{{Fault::upstream, Code::not_found, 404}, FailureClass::missing},
                      Row{{Fault::upstream, Code::unauthorized, 401}, FailureClass::denied},
                      Row{{Fault::policy, Code::unauthorized, 0}, FailureClass::denied},
                      Row{{Fault::upstream, Code::denied, 403}, FailureClass::denied},
                      Row{{Fault::upstream, Code::too_many_requests, 429}, FailureClass::rate_limit},
                      Row{{Fault::capacity, Code::busy, 0}, FailureClass::rate_limit},
                      Row{{Fault::upstream, Code::bad_status, 500}, FailureClass::server_error},
                      Row{{Fault::upstream, Code::bad_status, 503}, FailureClass::server_error},
                      Row{{Fault::upstream, Code::bad_status, 418}, FailureClass::network},
                      Row{{Fault::upstream, Code::timeout, 0}, FailureClass::network},
                      Row{{Fault::upstream, Code::refused, 0}, FailureClass::network},
                      Row{{Fault::upstream, Code::tls_certificate, 0}, FailureClass::network},
                      Row{{Fault::upstream, Code::wrong_digest, 0}, FailureClass::network},
                      Row{{Fault::upstream, Code::bad_message, 0}, FailureClass::network}}) {
        CAPTURE(name_of(row.error.code));
        CHECK(class_of(row.error) == row.expected);
    }
}

TEST_CASE("stale: an old answer stands in for as long as its class allows, and not a second longer") {
    StalePolicy policy;
    policy.network = seconds(10);
    policy.server_error = StalePolicy::forever;
    policy.rate_limit = Duration(0);
    CHECK(stale_left(policy, FailureClass::network, seconds(9)) == seconds(1));
    CHECK(stale_left(policy, FailureClass::network, seconds(10)) == Duration(0));
    CHECK(stale_left(policy, FailureClass::network, seconds(1000)) == Duration(0));
    CHECK(stale_left(policy, FailureClass::server_error, seconds(1'000'000'000)) == StalePolicy::forever);
    CHECK(stale_left(policy, FailureClass::rate_limit, seconds(0)) == Duration(0));
    // A clock that was set back by a second is no reason to refuse; one that is off by a year says nothing.
    CHECK(stale_left(policy, FailureClass::network, -seconds(1)) == seconds(9));
    CHECK(stale_left(policy, FailureClass::network, -seconds(31'536'000)) == Duration(0));
}
