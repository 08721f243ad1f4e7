#include "upstream/tokens.h"

#include "upstream/upstreams.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr int life_used_percent = 90;  // clocks and queues take the rest

}  // namespace

std::string TokenOrder::key() const { return fmt::format("{}\n{}\n{}", upstream->login_server, id_of(credential), url.text()); }

Task<AuthorizationAnswer> Tokens::get(TokenOrder order, std::string refused) {
    auto key = order.key();
    auto* known = known_.find(key, Loop::current().time());
    if (known && known->header != refused) co_return *known;
    auto running = in_flight_.find(key);
    if (running != in_flight_.end()) {
        auto joined = running->second;
        while (!joined->outcome) co_await joined->ended.wait();  // ends: the request has deadlines
        co_return *joined->outcome;
    }
    auto mine = std::make_shared<InFlight>();
    in_flight_.emplace(key, mine);
    auto outcome = co_await ask(order);
    in_flight_.erase(key);
    if (outcome) known_.keep(key, *outcome, order.credential);
    else known_.forget(key);
    mine->outcome.emplace(outcome);
    mine->ended.notify_all();
    co_return outcome;
}

Task<AuthorizationAnswer> Tokens::ask(const TokenOrder& order) {
    auto document = co_await fetch(order);
    if (!document) co_return document.error();
    auto token = parse_token_document(*document);
    wipe(*document);
    if (!token)
        co_return make_failure(Fault::upstream, Code::bad_message,
                               fmt::format("{} answered without a token", order.url.origin.text()));
    Authorization authorization;
    authorization.header = "Bearer " + token->token;
    authorization.made = Loop::current().time();
    authorization.until = authorization.made + token->life * life_used_percent / 100;
    wipe(token->token);
    co_return authorization;
}

/// The realm's answer; asked a second time when it refuses a login whose secret has changed meanwhile.
Task<Result<std::string, UpstreamFailure>> Tokens::fetch(const TokenOrder& order) {
    std::string refused;
    for (;;) {
        Authorization login;
        if (order.credential) {
            auto basic = co_await upstreams_.logins().basic(order.credential, refused);
            if (!basic) co_return basic.error();
            login = *basic;
        }
        auto document = co_await upstreams_.fetch_document(order, login);
        bool login_refused = !document && document.error().error.code == Code::unauthorized;
        if (!order.credential || !login_refused || !refused.empty()) co_return document;
        refused = login.header;
    }
}

}  // namespace entrepot
