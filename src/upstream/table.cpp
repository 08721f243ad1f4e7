#include "upstream/table.h"

#include "entrepot/base/log.h"

#include <algorithm>

namespace entrepot {

std::string_view name_of(UpstreamKind kind) noexcept {
    switch (kind) {
        case UpstreamKind::manifest_get: return "manifest_get";
        case UpstreamKind::manifest_head: return "manifest_head";
        case UpstreamKind::blob: return "blob";
        case UpstreamKind::token: return "token";
        case UpstreamKind::tags: return "tags";
        case UpstreamKind::referrers: return "referrers";
    }
    return "blob";
}

UpstreamFailure make_failure(Fault fault, Code code, std::string why, int status) {
    constexpr std::size_t why_bytes_max = 300;
    UpstreamFailure failure;
    failure.error = {fault, code, status};
    failure.why = escaped(why, why_bytes_max);
    return failure;
}

bool Circuit::may_ask(Instant time) noexcept {
    if (failures_.load(std::memory_order_relaxed) < failures_to_open) return true;
    auto due = next_probe_ns_.load(std::memory_order_relaxed);
    if (time.ns < due) return false;
    // Whoever moves the clock on is the probe.
    return next_probe_ns_.compare_exchange_strong(due, (time + probe_interval).ns, std::memory_order_relaxed);
}

void Circuit::failed(Instant time) noexcept {
    auto failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (failures == failures_to_open) next_probe_ns_.store((time + probe_interval).ns, std::memory_order_relaxed);
}

bool UpstreamState::owns(const Origin& origin) const noexcept { return std::find(endpoints.begin(), endpoints.end(), origin) != endpoints.end(); }

bool UpstreamState::may_issue_tokens(const Origin& origin) const noexcept {
    return owns(origin) || std::find(realms.begin(), realms.end(), origin) != realms.end();
}

Result<std::unique_ptr<UpstreamTable>, std::string> UpstreamTable::make(std::vector<UpstreamSpec> upstreams, std::vector<CredentialSpec> credentials, Options options) {
    return UpstreamTableOfProcess::make(std::move(upstreams), std::move(credentials), std::move(options));
}

Result<std::unique_ptr<UpstreamTable>, std::string> UpstreamTableOfProcess::make(std::vector<UpstreamSpec> upstreams, std::vector<CredentialSpec> credentials,
                                                                                 Options options) {
    auto table = std::make_unique<UpstreamTableOfProcess>();
    table->options_ = std::move(options);
    table->credentials_ = std::move(credentials);
    for (auto& spec : upstreams) {
        auto state = std::make_unique<UpstreamState>();
        for (auto& endpoint : spec.endpoints) {
            auto url = parse_url(endpoint);
            if (!url) return fmt::format("upstream '{}': endpoint '{}' is no URL", spec.login_server, endpoint);
            state->endpoints.push_back(url->origin);
        }
        if (state->endpoints.empty()) return fmt::format("upstream '{}' has no endpoint", spec.login_server);
        for (auto& realm : spec.realms) {
            auto url = parse_url(realm);
            if (!url) return fmt::format("upstream '{}': realm '{}' is no URL", spec.login_server, realm);
            state->realms.push_back(url->origin);
        }
        auto tls = TlsClientContext::load(spec.ca_file);
        if (!tls) return fmt::format("upstream '{}': {}", spec.login_server, tls.error());
        state->tls = *std::move(tls);
        state->credentials = std::make_unique<UpstreamState::CredentialState[]>(table->credentials_.size() + 1);
        state->spec = std::move(spec);
        table->states_.push_back(std::move(state));
    }
    for (std::size_t i = 0; i < table->states_.size(); ++i) table->by_login_server_.emplace(table->states_[i]->spec.login_server, i);
    for (auto& text : table->options_.own_addresses) {
        if (auto address = Address::parse_with_port(text)) table->own_addresses_.push_back(*address);
    }
    return std::unique_ptr<UpstreamTable>(std::move(table));
}

const UpstreamSpec* UpstreamTableOfProcess::find(std::string_view login_server) const noexcept {
    auto found = by_login_server_.find(login_server);
    return found == by_login_server_.end() ? nullptr : &states_[found->second]->spec;
}

const CredentialSpec* UpstreamTableOfProcess::find_credential(std::string_view name) const noexcept {
    for (auto& credential : credentials_) {
        if (credential.name == name) return &credential;
    }
    return nullptr;
}

std::size_t UpstreamTableOfProcess::index_of(const UpstreamSpec& spec) const noexcept {
    auto found = by_login_server_.find(spec.login_server);
    ASSERT(found != by_login_server_.end());
    return found->second;
}

std::size_t UpstreamTableOfProcess::index_of(const CredentialSpec* credential) const noexcept {
    if (!credential) return 0;
    auto index = static_cast<std::size_t>(credential - credentials_.data());
    ASSERT(index < credentials_.size());
    return index + 1;
}

bool UpstreamTableOfProcess::is_ourselves(const Address& address) const noexcept {
    return std::any_of(own_addresses_.begin(), own_addresses_.end(), [&](const Address& own) {
        bool everywhere = own.ip_text() == "0.0.0.0" || own.ip_text() == "::";
        return own.port() == address.port() && (own == address || (everywhere && address.is_loopback()));
    });
}

void UpstreamTableOfProcess::add_member(Loop& loop, UpstreamsOfShard& member) {
    std::lock_guard guard(members_lock_);
    members_.emplace_back(&loop, &member);
    if (!home_) {  // until set_home says otherwise, the first shard is home
        home_ = &loop;
        home_member_ = &member;
    }
}

void UpstreamTableOfProcess::remove_member(UpstreamsOfShard& member) noexcept {
    std::lock_guard guard(members_lock_);
    std::erase_if(members_, [&](auto& known) { return known.second == &member; });
}

void UpstreamTableOfProcess::set_home(Loop& home) noexcept {
    std::lock_guard guard(members_lock_);
    for (auto& [loop, member] : members_) {
        if (loop != &home) continue;
        home_ = loop;
        home_member_ = member;
    }
}

}  // namespace entrepot
