#include "upstream/services.h"

#include "entrepot/io/blocking.h"

#include <fmt/format.h>

namespace entrepot {

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
    return {config().identity.ca_file, config().identity.authority != IdentityConfig().authority};
}

Services::Policy Services::key_vault() const { return {config().identity.ca_file, !config().identity.key_vault.empty()}; }

Task<DocumentAnswer> Services::ask(Policy policy, DocumentRequest request) {
    auto known = co_await place(policy, request.url.origin);
    if (!known) co_return make_failure(Fault::policy, Code::unsupported, known.error());
    co_return co_await documents_.ask(**known, std::move(request));
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
