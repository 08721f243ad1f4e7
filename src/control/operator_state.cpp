#include "entrepot/control/operator_state.h"

#include "entrepot/base/log.h"
#include "entrepot/base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <unordered_set>

namespace entrepot {
namespace {

constexpr std::string_view rule_prefix = "rule/", credential_set_prefix = "credential-set/", account_prefix = "account/";
constexpr std::size_t users_named_max = 5;

/// The first few, and how many more there are.
std::string some_of(std::vector<std::string> names) {
    auto more = names.size() > users_named_max ? fmt::format(" and {} more", names.size() - users_named_max) : std::string();
    names.resize(std::min(names.size(), users_named_max));
    return fmt::format("{}{}", fmt::join(names, ", "), more);
}

std::string_view kind_of(const RuleText&) noexcept { return "cacheRule"; }
std::string_view kind_of(const CredentialSet&) noexcept { return "credentialSet"; }
std::string_view kind_of(const Account&) noexcept { return "account"; }
std::string_view noun_of(const Account&) noexcept { return "account"; }
std::string key_of(const Account& account) { return std::string(account_prefix) + account.name; }
JsonDocument document_of(const Account& account) { return account_document(account); }
std::string_view noun_of(const RuleText&) noexcept { return "cache rule"; }
std::string_view noun_of(const CredentialSet&) noexcept { return "credential set"; }
std::string key_of(const RuleText& rule) { return std::string(rule_prefix) + rule.name; }
std::string key_of(const CredentialSet& set) { return std::string(credential_set_prefix) + set.name; }
JsonDocument document_of(const RuleText& rule) { return rule_document(rule); }
JsonDocument document_of(const CredentialSet& set) { return credential_set_document(set, {}); }

RuleOrigin origin_of(const RuleText& rule) noexcept { return rule.origin; }
RuleOrigin origin_of(const CredentialSet& set) noexcept { return set.origin; }
RuleOrigin origin_of(const Account&) noexcept { return RuleOrigin::api; }

Refusal refusal(Refusal::Kind kind, std::string_view code, std::string message) {
    return {kind, std::string(code), std::move(message)};
}

Refusal refusal_of(const RuleBook::Conflict& conflict) {
    std::string_view code;
    switch (conflict.kind) {
        case RuleBook::Conflict::Kind::name_taken: code = "RuleNameTaken"; break;
        case RuleBook::Conflict::Kind::target_taken: code = "RuleTargetTaken"; break;
        case RuleBook::Conflict::Kind::overlap: code = "RuleOverlap"; break;
        case RuleBook::Conflict::Kind::too_many: code = "TooManyRules"; break;
    }
    return refusal(Refusal::Kind::conflict, code, conflict.message);
}

/// What a value made at run time adds to the state's etag. A sum of these does not depend on the order in which things were made.
template <typename Value>
std::uint64_t weight_of(const Value& value) {
    if (origin_of(value) != RuleOrigin::api) return 0;
    auto key = key_of(value), etag = etag_of(value);
    return XXH3_64bits_withSeed(etag.data(), etag.size(), XXH3_64bits(key.data(), key.size()));
}

/// What a precondition says about the present value (null: none); nothing when it holds.
template <typename Value>
std::optional<Refusal> unmet(const Precondition& when, std::string_view name, const Value* before) {
    auto noun = noun_of(Value());
    constexpr bool is_account = std::is_same_v<Value, Account>;
    if (when.must_not_exist && before)
        return refusal(Refusal::Kind::conflict, "AlreadyExists",
                       fmt::format("there is {} {} \"{}\" already; choose another name, or {}", is_account ? "an" : "a", noun,
                                   name, is_account ? "update that one" : "ask to replace it"));
    if (when.must_exist && !before)
        return refusal(Refusal::Kind::not_found, "NotFound", fmt::format("there is no {} \"{}\"", noun, escaped(name, 100)));
    if (when.etag.empty() || (before && when.etag == etag_of(*before))) return std::nullopt;
    return refusal(Refusal::Kind::changed, "Changed",
                   fmt::format("{} \"{}\" has changed since it was read; read it again and repeat", noun, name));
}

/// What no editor decides.
void settle(RuleText& rule, const RuleText* before) { rule.origin = before ? before->origin : RuleOrigin::api; }
void settle(CredentialSet& set, const CredentialSet* before) {
    set.origin = before ? before->origin : RuleOrigin::api;
    set.scope = set.origin == RuleOrigin::file ? before->scope : scope_after(before, set, random_bits());
}
void settle(Account&, const Account*) {}

/// What the file and the defaults made is theirs alone.
template <typename Value>
std::optional<Refusal> not_ours(const Value* before) {
    if (!before || origin_of(*before) == RuleOrigin::api) return std::nullopt;
    std::string_view whose =
        origin_of(*before) == RuleOrigin::file
            ? "comes from the configuration file; change it there"
            : "is one of the default rules; they go when the configuration file has a [[cache_rule]], or default_rules = false";
    return refusal(Refusal::Kind::read_only, "ReadOnly", fmt::format("{} \"{}\" {}", noun_of(*before), before->name, whose));
}

/// The value as it will be kept, or what is wrong with it by itself.
Result<RuleText, Refusal> sound(RuleText text) {
    auto rule = CacheRule::parse(std::move(text));
    if (!rule) return refusal(Refusal::Kind::invalid, "RuleInvalid", rule.error());
    return rule->text();
}

Result<CredentialSet, Refusal> sound(CredentialSet set) {
    std::string problem;
    if (!is_credential_set_name(set.name, set.origin)) problem = "its name must be 5 to 50 letters, digits or '-'";
    else if (set.login_server.empty()) problem = "\"loginServer\" is missing";
    else if (set.primary.username.place.empty()) problem = "\"authCredentials\" is missing";
    if (problem.empty()) return set;
    return refusal(Refusal::Kind::invalid, "CredentialSetInvalid",
                   fmt::format("credential set \"{}\": {}", escaped(set.name, 100), problem));
}

Result<Account, Refusal> sound(Account account) {
    auto fault = fault_of(account);
    if (fault.empty()) return account;
    return refusal(Refusal::Kind::invalid, "AccountInvalid", std::move(fault));
}

}  // namespace

/// One change of a batch, worked out before anything is touched.
template <typename Value>
struct OperatorState::Planned {
    std::string name;
    std::optional<Value> before, after;
    bool differs() const { return before != after; }

    Step step() const {
        Step step;
        step.kind = kind_of(Value());
        step.name = name;
        if (before) step.before = document_of(*before);
        if (after) step.after = document_of(*after);
        if (!differs()) step.action = Step::Action::unchanged;
        else if (!before) step.action = Step::Action::create;
        else step.action = after ? Step::Action::update : Step::Action::remove;
        return step;
    }
    LedgerChange keep() const {
        if (!after) return RemoveSetting{key_of(*before)};
        return PutSetting{key_of(*after), stored_text(*after)};
    }
};

struct OperatorState::Plan {
    std::vector<Planned<RuleText>> rules;
    std::vector<Planned<CredentialSet>> sets;
    std::vector<Planned<Account>> accounts;
    std::unordered_set<std::string> names;  // each with its kind: what is named twice is refused

    auto& list_of(const RuleText&) noexcept { return rules; }
    auto& list_of(const CredentialSet&) noexcept { return sets; }
    auto& list_of(const Account&) noexcept { return accounts; }
};

std::string_view name_of(Step::Action action) noexcept {
    switch (action) {
        case Step::Action::create: return "create";
        case Step::Action::update: return "update";
        case Step::Action::remove: return "delete";
        case Step::Action::unchanged: return "unchanged";
    }
    return "unchanged";
}

OperatorState::OperatorState(const Config& config) : limits_(config), book_(config.rule_options) {
    limits_.rules.clear();
    limits_.credential_sets.clear();
    for (auto& set : config.credential_sets) sets_.emplace(set.name, set);
    std::uint32_t place = 0;
    for (auto& text : config.rules) {
        auto rule = CacheRule::parse(text);
        ASSERT(rule);  // Config checked each, and all against each other
        book_.add(std::make_shared<const CacheRule>(*std::move(rule)), place++);
    }
}

Result<void, std::string> OperatorState::adopt(CredentialSet set) {
    if (sets_.contains(set.name))
        return fmt::format("credential set \"{}\": the configuration file's takes the place of the one made at run time",
                           set.name);
    made_at_run_time_ += weight_of(set);
    auto name = set.name;
    sets_.emplace(std::move(name), std::move(set));
    return {};
}

Result<void, std::string> OperatorState::adopt(RuleText text) {
    auto rule = CacheRule::parse(text);
    std::string problem;
    if (!rule) problem = rule.error();
    else if (auto conflict = book_.conflict_of(*rule)) problem = conflict->message;
    else if (auto checked = check(*rule); !checked) problem = checked.error().message;
    made_at_run_time_ += weight_of(text);
    if (problem.empty()) {
        book_.add(std::make_shared<const CacheRule>(*std::move(rule)));
        return {};
    }
    auto report = fmt::format("cache rule \"{}\", made at run time, takes no part: {}", text.name, problem);
    // Under the name of one of the file's it could not be told from that one; it stays in the ledger until the file lets go of the name.
    auto name = text.name;
    if (book_.find(name)) made_at_run_time_ -= weight_of(text);
    else idle_.emplace(std::move(name), Idle{std::make_shared<const RuleText>(std::move(text)), std::move(problem)});
    return report;
}

Result<void, std::string> OperatorState::adopt(Account account) {
    made_at_run_time_ += weight_of(account);
    auto name = account.name;
    accounts_.emplace(std::move(name), std::make_shared<const Account>(std::move(account)));
    return {};
}

Result<void, std::string> OperatorState::restore(std::string_view key, std::string_view text) {
    if (key.starts_with(credential_set_prefix)) {
        auto name = key.substr(credential_set_prefix.size());
        auto set = credential_set_from_stored(name, text);
        if (!set) return fmt::format("credential set \"{}\" in the ledger cannot be read: {}", escaped(name, 100), set.error());
        return adopt(*std::move(set));
    }
    if (key.starts_with(account_prefix)) {
        auto name = key.substr(account_prefix.size());
        auto account = account_from_stored(name, text);
        if (!account) return fmt::format("account \"{}\" in the ledger cannot be read: {}", escaped(name, 100), account.error());
        return adopt(*std::move(account));
    }
    if (!key.starts_with(rule_prefix)) return {};
    auto name = key.substr(rule_prefix.size());
    auto rule = rule_from_stored(name, text);
    if (!rule) return fmt::format("cache rule \"{}\" in the ledger cannot be read: {}", escaped(name, 100), rule.error());
    return adopt(*std::move(rule));
}

void OperatorState::adopt_what_was_made_at_run_time(const OperatorState& before, std::vector<std::string>& complaints) {
    auto take = [&](auto value) {
        auto adopted = adopt(std::move(value));
        if (!adopted) complaints.push_back(adopted.error());
    };
    for (auto& [name, account] : before.accounts_) take(*account);
    for (auto& [name, set] : before.sets_) {
        if (set.origin == RuleOrigin::api) take(set);
    }
    for (auto& rule : before.book_.list()) {
        if (rule->origin() == RuleOrigin::api) take(rule->text());
    }
    for (auto& [name, idle] : before.idle_) take(*idle.text);
}

template <typename Value>
Result<void, Refusal> OperatorState::add_to(Plan& plan, const Change<Value>& change, const Value* before, std::int64_t wall,
                                            Staged& staged) const {
    bool fresh = plan.names.insert(fmt::format("{}/{}", kind_of(Value()), change.name)).second;
    if (!fresh)
        return refusal(Refusal::Kind::invalid, "NamedTwice",
                       fmt::format("{} \"{}\" is named twice", noun_of(Value()), change.name));
    if (auto refused = unmet(change.when, change.name, before)) return *std::move(refused);
    Planned<Value> planned{change.name, before ? std::optional(*before) : std::nullopt, std::nullopt};
    auto after = change.edit(before);
    if (!after)
        return refusal(Refusal::Kind::invalid, "Invalid",
                       fmt::format("{} \"{}\": {}", noun_of(Value()), escaped(change.name, 100), after.error()));
    if (*after) {
        auto& value = **after;
        value.name = change.name;
        value.created = before ? before->created : wall;
        settle(value, before);
        auto checked = sound(std::move(value));
        if (!checked) return checked.error();
        planned.after = *std::move(checked);
    }
    if (planned.differs()) {
        if (auto refused = not_ours(before)) return *std::move(refused);
        staged.keep.push_back(planned.keep());
    }
    staged.outcome.steps.push_back(planned.step());
    plan.list_of(Value()).push_back(std::move(planned));
    return {};
}

Result<OperatorState::Staged, Refusal> OperatorState::stage(const Batch& batch, std::int64_t wall) {
    if (!batch.state_etag.empty() && batch.state_etag != etag())
        return refusal(Refusal::Kind::changed, "Changed",
                       "rules or credential sets have changed since they were read; read them again and repeat");
    auto etag_before = etag();
    auto staged = batch.compose ? stage_composed(batch, wall) : stage(batch.changes, wall);
    if (staged) staged->outcome.state_etag = batch.dry_run ? etag_before : etag();
    return staged;
}

Result<OperatorState::Staged, Refusal> OperatorState::stage_composed(const Batch& batch, std::int64_t wall) {
    auto changes = batch.compose(*this);
    if (!changes) return changes.error();
    return stage(*changes, wall);
}

Result<OperatorState::Staged, Refusal> OperatorState::stage(const std::vector<AnyChange>& changes, std::int64_t wall) {
    Plan plan;
    Staged staged;
    staged.undo.emplace_back([this, before = made_at_run_time_] { made_at_run_time_ = before; });
    staged.outcome.steps.reserve(changes.size());
    for (auto& change : changes) {
        Result<void, Refusal> planned;
        if (auto* rule = std::get_if<Change<RuleText>>(&change))
            planned = add_to(plan, *rule, find_rule(rule->name), wall, staged);
        if (auto* set = std::get_if<Change<CredentialSet>>(&change))
            planned = add_to(plan, *set, find_credential_set(set->name), wall, staged);
        if (auto* account = std::get_if<Change<Account>>(&change))
            planned = add_to(plan, *account, find_account(account->name).get(), wall, staged);
        if (!planned) return planned.error();
    }
    auto made = make_true(plan, staged);
    if (made) return staged;
    undo(staged);
    return made.error();
}

/// Everything that changes goes first, then everything comes: rules may trade targets within one batch.
Result<void, Refusal> OperatorState::make_true(const Plan& plan, Staged& staged) {
    for (auto& rule : plan.rules) {
        if (rule.differs() && rule.before) take_rule(rule.name, staged);
    }
    for (auto& set : plan.sets) {
        if (set.differs() && set.before) take_set(set.name, staged);
        if (set.differs() && set.after) put_set(*set.after, staged);
    }
    if (sets_.size() > credential_sets_max)
        return refusal(Refusal::Kind::conflict, "TooManyCredentialSets",
                       fmt::format("more than {} credential sets; delete some", credential_sets_max));
    for (auto& account : plan.accounts) {
        if (account.differs()) replace_account(account.name, account.after, staged);
    }
    if (accounts_.size() > AccountTable::accounts_max)
        return refusal(Refusal::Kind::conflict, "TooManyAccounts",
                       fmt::format("more than {} accounts; delete some", AccountTable::accounts_max));
    for (auto& rule : plan.rules) {
        if (!rule.differs() || !rule.after) continue;
        auto added = add_rule(*rule.after, staged);
        if (!added) return added;
    }
    note_pullers_gone(plan, staged.outcome.notes);
    for (auto& set : plan.sets) {
        if (!set.differs() || !set.before) continue;
        auto checked = check_users_of(set.name);
        if (!checked) return checked;
    }
    return {};
}

/// Rules keep the names of accounts that go: once through the rules, however many go.
void OperatorState::note_pullers_gone(const Plan& plan, std::vector<std::string>& notes) const {
    std::map<std::string_view, std::vector<std::string>> named_by;
    for (auto& account : plan.accounts) {
        if (account.before && !account.after) named_by.try_emplace(account.name);
    }
    if (named_by.empty()) return;
    for (auto& rule : book_.list()) {
        for (auto& name : rule->text().pull) {
            auto gone = named_by.find(name);
            if (gone != named_by.end()) gone->second.push_back(fmt::format("\"{}\"", rule->name()));
        }
    }
    for (auto& [name, rules] : named_by) {
        if (rules.empty() || notes.size() >= Outcome::notes_max) continue;
        notes.push_back(fmt::format(
            "cache rule{} {} still name{} account \"{}\": whoever is created by that name may pull through {}",
            rules.size() > 1 ? "s" : "", some_of(rules), rules.size() > 1 ? "" : "s", name, rules.size() > 1 ? "them" : "it"));
    }
}

void OperatorState::undo(Staged& staged) {
    for (auto step = staged.undo.rbegin(); step != staged.undo.rend(); ++step) (*step)();
    staged.undo.clear();
}

Result<void, Refusal> OperatorState::add_rule(const RuleText& text, Staged& staged) {
    auto parsed = CacheRule::parse(text);
    ASSERT(parsed);  // sound() parsed it
    auto rule = std::make_shared<const CacheRule>(*std::move(parsed));
    if (auto conflict = book_.conflict_of(*rule)) return refusal_of(*conflict);
    auto checked = check(*rule);
    if (!checked) return checked;
    auto& notes = staged.outcome.notes;
    if (notes.size() < Outcome::notes_max) {
        for (auto& note : notes_about(*rule)) notes.push_back(fmt::format("cache rule \"{}\" {}", text.name, note));
    }
    staged.login_servers.emplace(rule->login_server());
    book_.add(std::move(rule));
    staged.undo.emplace_back([this, name = text.name] { book_.remove(name); });
    made_at_run_time_ += weight_of(text);
    return {};
}

std::vector<std::string> OperatorState::notes_about(const CacheRule& rule) const {
    auto notes = book_.notes_about(rule);
    auto& text = rule.text();
    if (rule.login_server() == "docker.io" && !text.private_source())
        notes.emplace_back(
            "uses Docker Hub without credentials, whose pulls are limited by address; a credential set raises the limit");
    if (text.pull.empty() && !text.anonymous())
        notes.emplace_back(
            "has credentials, and nobody may pull through it: name accounts in pull, or \"anonymous\" for everybody");
    std::vector<std::string> strangers;
    for (auto& name : text.pull) {
        if (name != anonymous_puller && !accounts_.contains(name)) strangers.push_back(fmt::format("\"{}\"", name));
    }
    if (strangers.empty()) return notes;
    notes.push_back(fmt::format("lets {} pull, and there is no account of that name: whoever is created by it may pull",
                                some_of(std::move(strangers))));
    return notes;
}

void OperatorState::take_rule(const std::string& name, Staged& staged) {
    if (auto idle = idle_.find(name); idle != idle_.end()) {
        made_at_run_time_ -= weight_of(*idle->second.text);
        staged.undo.emplace_back([this, name, before = std::move(idle->second)] { idle_.emplace(name, before); });
        idle_.erase(idle);
        return;
    }
    auto rule = book_.find(name);
    auto place = book_.remove(name);
    ASSERT(rule && place);
    made_at_run_time_ -= weight_of(rule->text());
    staged.undo.emplace_back([this, rule, place = *place] { book_.add(rule, place); });
}

void OperatorState::put_set(const CredentialSet& set, Staged& staged) {
    sets_.emplace(set.name, set);
    made_at_run_time_ += weight_of(set);
    staged.undo.emplace_back([this, name = set.name] { sets_.erase(name); });
}

void OperatorState::take_set(const std::string& name, Staged& staged) {
    auto set = sets_.extract(name);
    ASSERT(!set.empty());
    made_at_run_time_ -= weight_of(set.mapped());
    staged.undo.emplace_back([this, before = std::move(set.mapped())] { sets_.emplace(before.name, before); });
}

void OperatorState::replace_account(const std::string& name, const std::optional<Account>& after, Staged& staged) {
    std::shared_ptr<const Account> before;
    if (auto found = accounts_.find(name); found != accounts_.end()) {
        before = found->second;
        made_at_run_time_ -= weight_of(*before);
        accounts_.erase(found);
    }
    if (after) {
        made_at_run_time_ += weight_of(*after);
        accounts_.emplace(name, std::make_shared<const Account>(*after));
    }
    staged.undo.emplace_back([this, name, before] {
        accounts_.erase(name);
        if (before) accounts_.emplace(name, before);
    });
}

Result<void, Refusal> OperatorState::check(const CacheRule& rule) const {
    auto objection = limits_.objection_to(rule);
    if (!objection.empty()) return refusal(Refusal::Kind::conflict, "SourceNotAllowed", std::move(objection));
    auto& name = rule.credential_set();
    if (name.empty()) return {};
    auto set = sets_.find(name);
    if (set == sets_.end())
        return refusal(Refusal::Kind::conflict, "CredentialSetNotFound",
                       fmt::format("cache rule \"{}\": there is no credential set \"{}\"; create it first", rule.name(), name));
    if (set->second.login_server == rule.login_server()) return {};
    return refusal(Refusal::Kind::conflict, "CredentialSetMismatch",
                   fmt::format("cache rule \"{}\": its source is on {}, but credential set \"{}\" belongs to {}", rule.name(),
                               rule.login_server(), name, set->second.login_server));
}

/// After a set changed or went: whether every rule that names it can go on.
Result<void, Refusal> OperatorState::check_users_of(const std::string& name) const {
    auto set = sets_.find(name);
    std::vector<std::string> users;
    for (auto& rule : book_.list()) {
        if (rule->credential_set() != name) continue;
        bool served = set != sets_.end() && set->second.login_server == rule->login_server();
        if (!served) users.push_back(fmt::format("\"{}\"", rule->name()));
    }
    if (users.empty()) return {};
    return refusal(Refusal::Kind::conflict, "CredentialSetInUse",
                   fmt::format("credential set \"{}\" is used by cache rule {}; change or delete those first", name,
                               some_of(std::move(users))));
}

const RuleText* OperatorState::find_rule(std::string_view name) const {
    if (auto rule = book_.find(name)) return &rule->text();  // the book keeps it alive
    auto idle = idle_.find(name);
    return idle == idle_.end() ? nullptr : idle->second.text.get();
}

const CredentialSet* OperatorState::find_credential_set(std::string_view name) const {
    auto set = sets_.find(name);
    return set == sets_.end() ? nullptr : &set->second;
}

std::shared_ptr<const Account> OperatorState::find_account(std::string_view name) const {
    auto account = accounts_.find(name);
    return account == accounts_.end() ? nullptr : account->second;
}

std::vector<const Account*> OperatorState::accounts_after(std::string_view after, std::size_t count_max) const {
    std::vector<const Account*> found;
    for (auto account = accounts_.upper_bound(after); account != accounts_.end() && found.size() < count_max; ++account)
        found.push_back(account->second.get());
    return found;
}

std::vector<const RuleText*> OperatorState::rules_after(std::string_view after, std::size_t count_max) const {
    std::vector<const RuleText*> found = book_.after(after, count_max);
    auto idle = idle_.upper_bound(after);
    for (std::size_t i = 0; i < count_max && idle != idle_.end(); ++i, ++idle) found.push_back(idle->second.text.get());
    std::sort(found.begin(), found.end(), [](auto* a, auto* b) { return a->name < b->name; });
    if (found.size() > count_max) found.resize(count_max);
    return found;
}

std::vector<const CredentialSet*> OperatorState::credential_sets_after(std::string_view after, std::size_t count_max) const {
    std::vector<const CredentialSet*> found;
    for (auto set = sets_.upper_bound(after); set != sets_.end() && found.size() < count_max; ++set)
        found.push_back(&set->second);
    return found;
}

std::vector<std::shared_ptr<const RuleText>> OperatorState::rules_made_at_run_time() const {
    std::vector<std::shared_ptr<const RuleText>> rules;
    for (auto& rule : book_.list()) {
        if (rule->origin() == RuleOrigin::api) rules.emplace_back(rule, &rule->text());
    }
    auto taking_part = static_cast<std::ptrdiff_t>(rules.size());  // which the book has by name
    for (auto& [name, idle] : idle_) rules.push_back(idle.text);
    std::inplace_merge(rules.begin(), rules.begin() + taking_part, rules.end(),
                       [](auto& a, auto& b) { return a->name < b->name; });
    return rules;
}

std::string OperatorState::problem_of(std::string_view rule) const {
    auto idle = idle_.find(rule);
    return idle == idle_.end() ? std::string() : idle->second.problem;
}

std::string OperatorState::etag() const { return fmt::format("{:016x}", made_at_run_time_); }

}  // namespace entrepot
