#include "upstream/health.h"

#include "upstream/failure.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1'000'000'000'000};

}  // namespace

TEST_CASE("circuit: it opens at the fifth failure in a row, and a success between starts the count again") {
    Circuit circuit;
    for (int i = 0; i < 4; ++i) circuit.failed(start, 0);
    CHECK(circuit.enter(start) == Circuit::Pass::free);
    circuit.succeeded();
    for (int i = 0; i < 4; ++i) circuit.failed(start, 0);
    CHECK(circuit.enter(start) == Circuit::Pass::free);
    circuit.failed(start, 0);
    CHECK(circuit.enter(start) == Circuit::Pass::refused);
    CHECK(!circuit.may_enter(start));
}

TEST_CASE("circuit: while it is open one caller a second is the probe") {
    Circuit circuit;
    for (int i = 0; i < 5; ++i) circuit.failed(start, 0);
    int probes = 0;
    for (auto time = start; time < start + 10s; time = time + 1ms) {
        bool may = circuit.may_enter(time);
        auto pass = circuit.enter(time);
        CHECK(may == (pass == Circuit::Pass::probe));
        if (pass != Circuit::Pass::probe) continue;
        ++probes;
        circuit.failed(time, 503);
    }
    CHECK(probes == 9);
    REQUIRE(circuit.enter(start + 10s) == Circuit::Pass::probe);
    circuit.succeeded();
    CHECK(circuit.enter(start + 10s) == Circuit::Pass::free);
}

TEST_CASE("retry budget: a fifth of the first attempts and ten a second, with ten saved up") {
    RetryBudget budget;
    int granted = 0;
    while (budget.spend(start)) ++granted;
    CHECK(granted == 10);
    for (int i = 0; i < 25; ++i) budget.earn(start);
    for (granted = 0; budget.spend(start);) ++granted;
    CHECK(granted == 5);
    for (granted = 0; budget.spend(start + 500ms);) ++granted;
    CHECK(granted == 5);
    for (granted = 0; budget.spend(start + 1h);) ++granted;
    CHECK(granted == 10);
}

TEST_CASE("retry budget: a thousand failing asks a second cost at most 20 % and ten a second more") {
    RetryBudget budget;
    int retries = 0;
    for (int i = 0; i < 10'000; ++i) {
        auto time = start + i * 1ms;
        budget.earn(time);
        retries += budget.spend(time) + budget.spend(time);  // each would like to be tried three times
    }
    CHECK(retries <= 10'000 / 5 + 10 * 10 + 10);
    CHECK(retries >= 10'000 / 5);
}

TEST_CASE("failure: the reason is one line of 300 bytes without control characters") {
    auto failure = make_failure(Fault::upstream, Code::bad_status, "a\r\nb\x1b[31m" + std::string(1000, 'x'), 500);
    CHECK(failure.why.size() <= 300);
    CHECK(failure.why.find_first_of("\r\n\x1b") == std::string::npos);
    CHECK(failure.error == Error{Fault::upstream, Code::bad_status, 500});
}

TEST_CASE("failure: what is retried, what another endpoint may do better, and what says that the upstream is ill") {
    struct Row {
        Fault fault;
        Code code;
        int status;
        bool retried, elsewhere;
        Health health;
    };
    const Row rows[] = {{Fault::upstream, Code::refused, 0, true, true, Health::bad},
                        {Fault::upstream, Code::reset, 0, true, true, Health::bad},
                        {Fault::upstream, Code::closed, 0, true, true, Health::bad},
                        {Fault::upstream, Code::timeout, 0, true, true, Health::bad},
                        {Fault::upstream, Code::bad_status, 500, true, true, Health::bad},
                        {Fault::upstream, Code::bad_status, 503, true, true, Health::bad},
                        {Fault::upstream, Code::bad_status, 522, false, true, Health::bad},
                        {Fault::upstream, Code::bad_status, 405, false, false, Health::good},
                        {Fault::upstream, Code::bad_status, 418, false, false, Health::good},
                        {Fault::upstream, Code::name_unresolved, 0, false, true, Health::bad},
                        {Fault::upstream, Code::tls_certificate, 0, false, true, Health::bad},
                        {Fault::upstream, Code::bad_message, 0, false, true, Health::unknown},
                        {Fault::upstream, Code::loop, 0, false, true, Health::unknown},
                        {Fault::upstream, Code::not_found, 404, false, false, Health::good},
                        {Fault::upstream, Code::unauthorized, 401, false, false, Health::good},
                        {Fault::upstream, Code::denied, 403, false, false, Health::good},
                        {Fault::upstream, Code::too_many_requests, 429, false, false, Health::good},
                        {Fault::policy, Code::address_forbidden, 0, false, false, Health::unknown},
                        {Fault::capacity, Code::busy, 0, false, false, Health::unknown},
                        {Fault::shutdown, Code::stopping, 0, false, false, Health::unknown}};
    for (auto& row : rows) {
        CAPTURE(std::string(name_of(row.code)));
        CAPTURE(row.status);
        auto failure = make_failure(row.fault, row.code, "", row.status);
        CHECK(may_be_retried(failure) == row.retried);
        CHECK(another_endpoint_may_help(failure) == row.elsewhere);
        CHECK(health_of(failure) == row.health);
    }
    auto patient = make_failure(Fault::upstream, Code::bad_status, "", 503);
    patient.retry_after = 30s;
    CHECK(!may_be_retried(patient));
}
