#include "entrepot/registry/registry.h"

#include "entrepot/rules/rule_policy.h"

#include "registry/admission.h"
#include "registry/reply.h"
#include "registry/token_endpoint.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

RequestKind kind_of(TargetKind kind) {
    switch (kind) {
        case TargetKind::base: return RequestKind::base;
        case TargetKind::manifest: return RequestKind::manifest;
        case TargetKind::blob: return RequestKind::blob;
        case TargetKind::tags_list: return RequestKind::tags;
        case TargetKind::referrers: return RequestKind::referrers;
        case TargetKind::catalog: return RequestKind::catalog;
        case TargetKind::upload: return RequestKind::other;
    }
    return RequestKind::other;
}

/// Nothing pushes here. Whatever body follows is not read.
Task<After> refuse_push(Exchange& exchange) {
    exchange.close_after();
    return reply_error(exchange, 405, OciCode::unsupported, "this is a pull-through cache: it does not take pushes", {},
                       "Allow: GET, HEAD\r\n");
}

}  // namespace

std::string Registry::refuse(std::uint16_t status, std::string_view message) {
    count(RequestKind::other, status);
    return error_body(OciCode::unsupported, message);
}

void Registry::count(RequestKind kind, std::uint16_t status) noexcept {
    if (status > 0 && status < RegistryCounters::statuses) counters_.requests[static_cast<std::size_t>(kind)][status].add();
}

Task<After> Registry::handle(Exchange& exchange) {
    auto kind = RequestKind::other;
    auto routed = route(exchange, kind);
    auto after = co_await routed;
    count(kind, exchange.answered);
    if (after == After::abort) counters_.aborted.add();
    co_return after;
}

Task<After> Registry::route(Exchange& exchange, RequestKind& kind) {
    auto& head = exchange.head();
    auto snapshot = routing_;
    Door door{entrance_, doorkeeper_, *snapshot};
    if (head.path == token_path) {
        kind = RequestKind::token;
        co_return co_await serve_token(exchange, door);
    }
    bool reads = head.method == Method::get || head.method == Method::head;
    if (!reads) co_return co_await refuse_push(exchange);
    QueryScratch scratch;
    auto target = parse_request_target(head.path, head.query, scratch);
    if (!target) {
        auto& refused = target.error();
        co_return co_await reply_error(exchange, static_cast<std::uint16_t>(refused.status), refused.code,
                                       std::string(refused.message));
    }
    kind = kind_of(target->kind);
    switch (target->kind) {
        case TargetKind::base: co_return co_await serve_base(exchange, door, *target);
        case TargetKind::catalog: co_return co_await serve_catalog(exchange, cache_, door, *target);
        case TargetKind::upload: co_return co_await refuse_push(exchange);
        default: break;
    }

    auto found = snapshot->find(target->repository, target->ns);
    bool for_everybody = found ? found->anonymous : snapshot->anonymous();
    if (!for_everybody) {
        // Before anybody looks at the store: what is in it and what is not must not be told apart.
        auto refused = co_await admit(exchange, door, found ? &*found : nullptr, *target);
        if (refused) co_return *refused;
    }
    if (!found) {
        auto message =
            fmt::format("no cache rule covers '{}'{}{}", target->repository, target->ns.empty() ? "" : " of ", target->ns);
        co_return co_await reply_error(exchange, 404, OciCode::name_unknown, std::move(message), target->ns);
    }
    Call call{exchange, cache_, counters_, std::move(snapshot), found->rule, std::move(found->source), std::string(target->ns)};
    auto refusal = why_not_repository(*call.rule, call.source.repository);
    if (!refusal.empty()) co_return co_await refuse_by_rule(call, OciCode::name_unknown, std::move(refusal));
    switch (target->kind) {
        case TargetKind::manifest: co_return co_await serve_manifest(call, *target);
        case TargetKind::blob: co_return co_await serve_blob(call, *target);
        case TargetKind::tags_list: co_return co_await serve_tags(call, *target);
        default: co_return co_await serve_referrers(call, *target);
    }
}

}  // namespace entrepot
