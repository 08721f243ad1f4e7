#include "upstream/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace entrepot {
namespace {

constexpr Duration endpoint_avoided = seconds(30);

Result<Origin, std::string> origin_of(const std::string& login_server, std::string_view what, const std::string& text) {
    auto url = parse_url(text);
    if (!url) return fmt::format("upstream '{}': {} '{}' is no URL", login_server, what, text);
    return url->origin;
}

}  // namespace

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

// ---- one upstream

bool UpstreamState::owns(const Origin& origin) const noexcept {
    return std::find(endpoints.begin(), endpoints.end(), origin) != endpoints.end();
}

bool UpstreamState::may_issue_tokens(const Origin& origin) const noexcept {
    return owns(origin) || std::find(realms.begin(), realms.end(), origin) != realms.end();
}

std::vector<std::size_t> UpstreamState::endpoint_order(Instant time) const {
    std::vector<std::size_t> order(endpoints.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_partition(order.begin(), order.end(), [&](std::size_t endpoint) {
        return avoided_until_ns[endpoint].load(std::memory_order_relaxed) <= time.ns;
    });
    return order;
}

void UpstreamState::avoid_endpoint(std::size_t endpoint, Instant time) noexcept {
    avoided_until_ns[endpoint].store((time + endpoint_avoided).ns, std::memory_order_relaxed);
}

void UpstreamState::note(UpstreamKind kind, int status) noexcept {
    counters.by_status[static_cast<std::size_t>(kind)][static_cast<std::size_t>(status) / 100].fetch_add(
        1, std::memory_order_relaxed);
}

void UpstreamState::note_rate_limit(UpstreamKind kind, RateLimit& limit, const ResponseHead& head, Instant time) noexcept {
    // "99;w=21600": what is left, of a window of so many seconds.
    auto remaining = head.ratelimit_remaining;
    std::int64_t left = 0;
    auto parsed = std::from_chars(remaining.data(), remaining.data() + remaining.size(), left);
    if (parsed.ec == std::errc() && left >= 0) {
        counters.ratelimit_remaining.store(left, std::memory_order_relaxed);
        return limit.note_left(left, time);
    }
    // Not every kind of answer tells it; one that does not where others did says that the limit is gone.
    bool is_manifest = kind == UpstreamKind::manifest_get || kind == UpstreamKind::manifest_head;
    if (is_manifest && head.status == 200) limit.note_unlimited();
}

void UpstreamState::note_no_answer(UpstreamKind kind) noexcept {
    counters.by_status[static_cast<std::size_t>(kind)][0].fetch_add(1, std::memory_order_relaxed);
}

// ---- all of them

Result<std::unique_ptr<UpstreamTable>, std::string> UpstreamTable::make(std::vector<UpstreamSpec> upstreams, Options options) {
    return UpstreamTableOfProcess::make(std::move(upstreams), std::move(options));
}

Result<std::unique_ptr<UpstreamTable>, std::string> UpstreamTableOfProcess::make(std::vector<UpstreamSpec> upstreams,
                                                                                 Options options) {
    auto table = std::make_unique<UpstreamTableOfProcess>();
    table->options_ = std::move(options);
    for (auto& text : table->options_.own_addresses) {
        if (!table->own_addresses_.add(text)) return fmt::format("'{}' is no address of ours", text);
    }
    for (auto& spec : upstreams) {
        auto added = table->add(std::move(spec));
        if (!added) return added.error();
    }
    return std::unique_ptr<UpstreamTable>(std::move(table));
}

Result<const UpstreamSpec*, std::string> UpstreamTableOfProcess::add(UpstreamSpec upstream) {
    if (find(upstream.login_server)) return fmt::format("there are two upstreams '{}'", upstream.login_server);
    if (states_.size() >= options_.upstreams_max) return no_room_for(upstream);
    auto state = make_state(std::move(upstream));
    if (!state) return state.error();
    states_.push_back(*std::move(state));
    auto& kept = *states_.back();
    by_login_server_.emplace(kept.spec.login_server, &kept);
    return static_cast<const UpstreamSpec*>(&kept.spec);
}

Result<void, std::string> UpstreamTableOfProcess::check(std::vector<UpstreamSpec> upstreams) {
    auto room = options_.upstreams_max - std::min(options_.upstreams_max, states_.size());
    for (auto& upstream : upstreams) {
        if (room-- == 0) return no_room_for(upstream);
        auto state = make_state(std::move(upstream));
        if (!state) return state.error();
    }
    return {};
}

std::string UpstreamTableOfProcess::no_room_for(const UpstreamSpec& upstream) const {
    return fmt::format(
        "upstream '{}': there are {} login servers already, which is the most; those that no rule names any more go with a restart",
        upstream.login_server, options_.upstreams_max);
}

Result<std::unique_ptr<UpstreamState>, std::string> UpstreamTableOfProcess::make_state(UpstreamSpec spec) {
    auto state = std::make_unique<UpstreamState>();
    for (auto& endpoint : spec.endpoints) {
        auto origin = origin_of(spec.login_server, "endpoint", endpoint);
        if (!origin) return origin.error();
        state->endpoints.push_back(*std::move(origin));
    }
    if (state->endpoints.empty()) return fmt::format("upstream '{}' has no endpoint", spec.login_server);
    for (auto& realm : spec.realms) {
        auto origin = origin_of(spec.login_server, "realm", realm);
        if (!origin) return origin.error();
        state->realms.push_back(*std::move(origin));
    }
    auto trust = trust_of(spec.ca_file);
    if (!trust) return fmt::format("upstream '{}': {}", spec.login_server, trust.error());
    state->trust = *trust;
    state->avoided_until_ns = std::make_unique<std::atomic<std::int64_t>[]>(state->endpoints.size());
    static_cast<UpstreamSpec&>(state->spec) = std::move(spec);
    return state;
}

Result<void, std::string> UpstreamTableOfProcess::load_trust(const std::string& ca_file) {
    auto trust = trust_of(ca_file);
    if (!trust) return trust.error();
    return {};
}

/// Parsing the system's trust store takes milliseconds and 0.4 MiB for each thread, and most upstreams share it.
Result<const Trust*, std::string> UpstreamTableOfProcess::trust_of(const std::string& ca_file) {
    {
        std::lock_guard guard(trust_lock_);
        auto known = trust_.find(ca_file);
        if (known != trust_.end()) return static_cast<const Trust*>(known->second.get());
    }
    auto loaded = TlsClientContext::load(ca_file);  // without the lock: the home loop may want another file meanwhile
    if (!loaded) return loaded.error();
    std::lock_guard guard(trust_lock_);
    auto& kept = trust_[ca_file];
    if (!kept) kept = std::make_unique<Trust>(ca_file, *std::move(loaded));
    return static_cast<const Trust*>(kept.get());
}

void UpstreamTableOfProcess::renew_trust() {
    std::vector<Trust*> known;
    {
        std::lock_guard guard(trust_lock_);
        for (auto& [file, trust] : trust_) known.push_back(trust.get());
    }
    for (auto* trust : known) trust->renew();
}

void UpstreamTableOfProcess::prepare_tls() const {
    std::lock_guard guard(trust_lock_);
    for (auto& [file, trust] : trust_) {
        bool is_used = std::any_of(states_.begin(), states_.end(), [&](auto& state) {
            return state->trust == trust.get() &&
                   std::any_of(state->endpoints.begin(), state->endpoints.end(), [](auto& origin) { return origin.is_tls(); });
        });
        if (is_used) trust->current()->prepare();
    }
}

const UpstreamSpec* UpstreamTableOfProcess::find(std::string_view login_server) const noexcept {
    auto found = by_login_server_.find(login_server);
    return found == by_login_server_.end() ? nullptr : &found->second->spec;
}

// ---- the shards

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
    if (home_member_ != &member) return;
    home_ = members_.empty() ? nullptr : members_.front().first;
    home_member_ = members_.empty() ? nullptr : members_.front().second;
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
