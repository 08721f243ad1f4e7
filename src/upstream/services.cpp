#include "upstream/services.h"

#include "entrepot/io/blocking.h"
#include "entrepot/net/tls.h"

#include <fmt/format.h>

namespace entrepot {

namespace {

/// Nobody finds these places among the upstreams: what is wrong with the way to one is mended in the table that names it.
UpstreamFailure with_advice(UpstreamFailure failure, const Services::Policy& policy, const Origin& origin) {
    bool is_private = failure.error.code == Code::address_forbidden && !policy.allow_private;
    bool is_untrusted = failure.error.code == Code::tls_certificate && failure.why.find(untrusted_issuer) != std::string::npos;
    if ((!is_private && !is_untrusted) || policy.table.empty()) return failure;
    auto why =
        is_private
            ? fmt::format("{} is on a private address; set allow_private of {} if that is meant", origin.text(), policy.table)
            : fmt::format("{}; if a private authority vouches for it, set ca_file of {}", failure.why, policy.table);
    return make_failure(failure.error.fault, failure.error.code, why, failure.error.detail);
}

}  // namespace

UpstreamFailure as_unavailable(const UpstreamFailure& failure, std::string_view what) {
    auto fault = failure.error.fault == Fault::shutdown ? Fault::shutdown : Fault::policy;
    // That a vault may not be asked is our own configuration's fault, and means no more than that the secret cannot be had.
    bool is_forbidden = failure.error.code == Code::address_forbidden || failure.error.code == Code::loop ||
                        failure.error.code == Code::unsupported;
    auto code = is_forbidden ? Code::unauthorized : failure.error.code;
    auto told = make_failure(fault, code, fmt::format("{}: {}", what, failure.why), failure.error.detail);
    told.retry_after = failure.retry_after;
    return told;
}

Services::Policy Services::authority() const {
    auto& identity = config().identity;
    return {identity.ca_file, identity.allow_private || identity.authority != IdentityConfig().authority, "[identity]"};
}

Services::Policy Services::key_vault() const {
    auto& identity = config().identity;
    return {identity.ca_file, identity.allow_private || !identity.key_vault.empty(), "[identity]"};
}

Task<DocumentAnswer> Services::ask(Policy policy, DocumentRequest request) {
    auto known = co_await place(policy, request.url.origin);
    if (!known) co_return make_failure(Fault::policy, Code::unsupported, known.error());
    auto origin = request.url.origin;
    auto answer = co_await documents_.ask(**known, std::move(request));
    if (!answer) co_return with_advice(answer.error(), policy, origin);
    co_return answer;
}

Task<Result<const UpstreamState*, std::string>> Services::place(const Policy& policy, const Origin& origin) {
    auto name = origin.text();
    auto key = fmt::format("{}\n{}\n{}", name, policy.ca_file, policy.allow_private);
    if (auto known = places_.find(key); known != places_.end()) co_return static_cast<const UpstreamState*>(known->second.get());
    if (places_.size() >= places_max)
        co_return fmt::format("{} places that keep secrets are known already, which is the most", places_max);
    auto load = [this, &policy] { return table_.load_trust(policy.ca_file); };
    auto loaded = co_await run_blocking(Lane::resolver, load);
    if (!loaded) co_return loaded.error();
    UpstreamSpec spec;
    spec.login_server = name;
    spec.endpoints = {name};
    spec.ca_file = policy.ca_file;
    spec.allow_private = policy.allow_private;
    auto made = table_.make_state(std::move(spec));
    if (!made) co_return made.error();
    // Somebody else may have been as fast.
    auto& kept = places_.try_emplace(key, *std::move(made)).first->second;
    co_return static_cast<const UpstreamState*>(kept.get());
}

}  // namespace entrepot
