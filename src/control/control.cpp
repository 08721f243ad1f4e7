#include "entrepot/control/control.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"

#include <algorithm>
#include <set>

namespace entrepot {
namespace {

CredentialSpec credential_spec_of(const CredentialSet& set) {
    CredentialSpec spec{set.name, set.login_server, set.scope, {set.primary}};
    if (set.secondary) spec.logins.push_back(*set.secondary);
    return spec;
}

bool stands_for(const Credential& credential, const CredentialSet& set) {
    auto spec = credential_spec_of(set);
    auto& has = credential.spec();
    return has.login_server == spec.login_server && has.scope == spec.scope && has.logins == spec.logins;
}

CredentialPointer identity_of(const RuleText& rule, std::string name, std::string_view login_server) {
    CredentialSpec spec;
    spec.name = spec.scope = std::move(name);
    spec.login_server = login_server;
    auto identity = parse_identity_reference(rule.identity);
    ASSERT(identity);  // CacheRule::parse saw it
    spec.identity = *std::move(identity);
    return Credential::make(std::move(spec));
}

/// Pure but for what it is given: from any thread. `identities` are those of the snapshot before; one that is still used stays, with what it was given meanwhile.
Result<Control::Built, std::string> build_from(const OperatorState& state, const UpstreamTable& upstreams,
                                               const Credentials& credentials, const Credentials& identities) {
    auto table = RuleTable::build(state.book().list(), state.book().options());
    if (!table) return table.error().message;
    std::vector<std::shared_ptr<const Account>> list;
    for (auto& [name, account] : state.accounts()) list.push_back(account);
    auto accounts = AccountTable::build(std::move(list));
    if (!accounts) return accounts.error();
    Control::Built built;
    auto all = credentials;
    for (auto& rule : table->rules()) {
        if (rule->text().identity.empty()) continue;
        auto name = credential_name_of(rule->text(), rule->login_server());
        if (all.contains(name)) continue;
        auto known = identities.find(name);
        auto identity = known == identities.end() ? identity_of(rule->text(), name, rule->login_server()) : known->second;
        built.identities.emplace(name, identity);
        all.emplace(name, std::move(identity));
    }
    auto routing = Routing::make(*std::move(table), upstreams, all, *std::move(accounts));
    if (!routing) return routing.error();
    built.routing = *std::move(routing);
    return built;
}

Refusal internal(std::string message) { return {Refusal::Kind::storage, "Internal", std::move(message)}; }

}  // namespace

UpstreamSpec spec_of(const UpstreamConfig& config) {
    UpstreamSpec spec;
    spec.login_server = config.login_server;
    for (auto& endpoint : config.endpoints) spec.endpoints.push_back(endpoint.url());
    for (auto& realm : config.realms) spec.realms.push_back(realm.url());
    spec.ca_file = config.ca_file;
    spec.allow_private = config.allow_private;
    return spec;
}

Control::Control(const Config& config, Ledger& ledger, UpstreamTable& upstreams)
    : config_(config), ledger_(ledger), upstreams_(upstreams), state_(std::make_unique<OperatorState>(config)) {
    config_.rules.clear();
    config_.credential_sets.clear();
}

Result<std::unique_ptr<Control>, std::string> Control::open(const Config& config, Ledger& ledger, UpstreamTable& upstreams) {
    std::unique_ptr<Control> control(new Control(config, ledger, upstreams));
    // Keys come in order, so that accounts and credential sets are here before the rules that name them.
    ledger.each_setting([&](std::string_view key, std::string_view text) {
        auto restored = control->state_->restore(key, text);
        if (!restored) log_warning("{}", restored.error());
    });
    for (auto& rule : control->state_->book().list()) {
        if (upstreams.find(rule->login_server())) continue;
        auto added = upstreams.add(spec_of(control->config_.upstream_of(rule->login_server())));
        if (!added) return fmt::format("cache rule \"{}\": {}", rule->name(), added.error());
    }
    control->refresh_credentials();
    auto built = build_from(*control->state_, upstreams, control->credentials_, {});
    if (!built) return built.error();
    control->routing_ = std::move(built->routing);
    control->identities_ = std::move(built->identities);
    return control;
}

CredentialPointer Control::find_credential(std::string_view set) const {
    auto found = credentials_.find(set);
    return found == credentials_.end() ? nullptr : found->second;
}

Result<const UpstreamSpec*, std::string> Control::upstream_of(std::string_view login_server) {
    if (auto* known = upstreams_.find(login_server)) return known;
    return upstreams_.add(spec_of(config_.upstream_of(login_server)));
}

const UpstreamSpec* Control::find_upstream(std::string_view login_server) const noexcept { return upstreams_.find(login_server); }

Task<Result<Outcome, Refusal>> Control::change(Batch batch) {
    Waiting waiting{std::move(batch), std::nullopt, {}};
    waiting_.push_back(&waiting);
    bool mine = waiting_.size() <= waiting_max;
    if (mine) mine = co_await turn_.acquire(Instant::never());
    if (!mine) {
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &waiting));
        co_return Refusal{Refusal::Kind::busy, "Busy", "too many changes wait for their turn; try again in a second"};
    }
    // Whoever had the turn before may have taken ours with his.
    while (!waiting.outcome) {
        auto turn = next_turn();
        co_await run(std::move(turn));
    }
    turn_.release();
    co_return *std::move(waiting.outcome);
}

bool Control::is_large(const Waiting* one) noexcept {
    return one->batch.compose || one->batch.changes.size() >= large_batch_from;
}

/// All that wait, in their order, up to the next large one, which has a turn to itself.
Control::Turn Control::next_turn() {
    auto end = std::find_if(waiting_.begin(), waiting_.end(), is_large);
    if (end == waiting_.begin()) ++end;
    Turn turn(waiting_.begin(), end);
    waiting_.erase(waiting_.begin(), end);
    return turn;
}

Task<void> Control::run(Turn turn) {
    auto wall = wall_seconds();
    std::unique_ptr<OperatorState> copy;
    if (is_large(turn.front())) copy = co_await stage_away(*turn.front(), wall);
    else stage_here(turn, wall);
    bool changes = std::any_of(turn.begin(), turn.end(), [](auto* one) { return !one->outcome; });
    if (!changes) co_return;

    auto before = credentials_;
    if (copy) state_.swap(copy);
    refresh_credentials();
    auto built = co_await build(*state_);
    Result<void> kept;
    if (built) kept = co_await keep(turn);
    if (!built || !kept) {
        credentials_ = std::move(before);
        if (copy) state_.swap(copy);
        auto why =
            !built ? internal(built.error())
                   : Refusal{Refusal::Kind::storage, "StorageFailed",
                             fmt::format("the ledger could not keep it ({}); nothing has changed", name_of(kept.error().code))};
        for (auto one = turn.rbegin(); one != turn.rend(); ++one) {
            if ((*one)->outcome) continue;
            if (!copy) OperatorState::undo((*one)->staged);
            (*one)->outcome.emplace(why);
        }
        co_return;
    }
    co_await replace_routing(*std::move(built));
    for (auto* one : turn) {
        if (!one->outcome) one->outcome.emplace(std::move(one->staged.outcome));
    }
    co_await dispose(std::move(copy));
}

/// Every shard has the new one when it returns; the old one ends on a lane, unless a request still holds it.
Task<void> Control::replace_routing(Built built) {
    identities_ = std::move(built.identities);
    auto before = std::exchange(routing_, std::move(built.routing));
    co_await publish_(routing_);
    co_await dispose(std::move(before));
}

/// A hundred thousand of anything take longer to destroy than a shard may be away.
template <typename Pointer>
Task<void> Control::dispose(Pointer pointer) {
    auto drop = [&pointer] {
        pointer.reset();
        return true;
    };
    if (pointer) (void)co_await run_blocking(Lane::resolver, drop);
}

/// What is refused, changes nothing, or was only asked about has its outcome then; the rest is true in `state_`, not yet kept.
void Control::stage_here(Turn& turn, std::int64_t wall) {
    for (auto* one : turn) {
        auto staged = state_->stage(one->batch, wall);
        if (!staged) {
            one->outcome.emplace(staged.error());
            continue;
        }
        auto known = know_upstreams(*staged, one->batch.dry_run);
        if (!known) one->outcome.emplace(Refusal{Refusal::Kind::conflict, "SourceNotAllowed", known.error()});
        else if (one->batch.dry_run || staged->keep.empty()) one->outcome.emplace(staged->outcome);
        if (one->outcome) OperatorState::undo(*staged);
        one->staged = *std::move(staged);
    }
}

/// The same on a copy, which becomes the state when the batch is to stay; null otherwise.
Task<std::unique_ptr<OperatorState>> Control::stage_away(Waiting& large, std::int64_t wall) {
    auto work = [&]() -> std::unique_ptr<OperatorState> {
        auto copy = std::make_unique<OperatorState>(*state_);
        auto staged = copy->stage(large.batch, wall);
        if (!staged) large.outcome.emplace(staged.error());
        else large.staged = *std::move(staged);
        large.staged.undo.clear();  // the copy is thrown away as a whole
        return copy;
    };
    auto copy = co_await run_blocking(Lane::resolver, work);
    if (large.outcome) co_return nullptr;
    auto known = know_upstreams(large.staged, large.batch.dry_run);
    if (!known) large.outcome.emplace(Refusal{Refusal::Kind::conflict, "SourceNotAllowed", known.error()});
    else if (large.batch.dry_run || large.staged.keep.empty()) large.outcome.emplace(std::move(large.staged.outcome));
    if (large.outcome) co_return nullptr;
    co_return copy;
}

/// Login servers that no rule named before. They stay, whatever becomes of the rule: the table only grows, up to its bound. So a batch that is only asked about, or that cannot
/// have all of its own, adds none.
Result<void, std::string> Control::know_upstreams(const OperatorState::Staged& staged, bool dry_run) {
    std::vector<UpstreamSpec> unknown;
    for (auto& login_server : staged.login_servers) {
        if (!upstreams_.find(login_server)) unknown.push_back(spec_of(config_.upstream_of(login_server)));
    }
    auto sound = upstreams_.check(unknown);
    if (!sound || dry_run) return sound;
    for (auto& spec : unknown) {
        auto added = upstreams_.add(std::move(spec));
        if (!added) return added.error();
    }
    return {};
}

/// Sets that did not change keep their object, and with it their tokens and what is known about them.
void Control::refresh_credentials() {
    Credentials now_known;
    for (auto& [name, set] : state_->credential_sets()) {
        auto known = credentials_.find(name);
        bool same = known != credentials_.end() && stands_for(*known->second, set);
        now_known.emplace(name, same ? known->second : Credential::make(credential_spec_of(set)));
    }
    credentials_ = std::move(now_known);
}

/// Nobody changes the state while this turn lasts, nor the table of upstreams.
Task<Result<Control::Built, std::string>> Control::build(const OperatorState& state) {
    auto work = [&] { return build_from(state, upstreams_, credentials_, identities_); };
    co_return co_await run_blocking(Lane::resolver, work);
}

Task<Result<void>> Control::keep(Turn& turn) {
    std::vector<LedgerChange> changes;
    for (auto* one : turn) {
        if (one->outcome) continue;
        for (auto& change : one->staged.keep) changes.push_back(std::move(change));
    }
    co_return co_await ledger_.apply(std::move(changes));
}

Task<Result<void, std::string>> Control::reload(Config config) {
    bool mine = co_await turn_.acquire(Instant::never());
    if (!mine) co_return std::string("too many changes wait for their turn");
    auto reloaded = co_await reload_now(std::move(config));
    turn_.release();
    co_return reloaded;
}

Task<Result<void, std::string>> Control::reload_now(Config config) {
    std::vector<std::string> waits_aside;
    auto work = [&] {
        auto next = std::make_unique<OperatorState>(config);
        next->adopt_what_was_made_at_run_time(*state_, waits_aside);
        return next;
    };
    auto next = co_await run_blocking(Lane::resolver, work);
    auto trust = [&]() -> Result<void, std::string> {
        upstreams_.renew_trust();
        for (auto& upstream : config.upstreams) {
            auto loaded = upstreams_.load_trust(upstream.ca_file);
            if (!loaded) return loaded;
        }
        return {};
    };
    auto trusted = co_await run_blocking(Lane::resolver, trust);
    if (!trusted) co_return trusted;
    for (auto& rule : next->book().list()) {
        if (upstreams_.find(rule->login_server())) continue;
        auto added = upstreams_.add(spec_of(config.upstream_of(rule->login_server())));
        if (!added) co_return fmt::format("cache rule \"{}\": {}", rule->name(), added.error());
    }
    auto before = credentials_;
    state_.swap(next);
    refresh_credentials();
    auto built = co_await build(*state_);
    if (!built) {
        state_.swap(next);
        credentials_ = std::move(before);
        co_return built.error();
    }
    for (auto& line : waits_aside) log_warning("{}", line);
    config_ = std::move(config);
    config_.rules.clear();
    config_.credential_sets.clear();
    co_await replace_routing(*std::move(built));
    co_await dispose(std::move(next));
    co_return Result<void, std::string>();
}

}  // namespace entrepot
