// /api/v1/apply and /api/v1/export: everything that was made at run time as one document, taken and given as a whole.

#include "admin/api_change.h"
#include "admin/handlers.h"
#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"

#include <set>

namespace entrepot {
namespace {

constexpr std::string_view rules_member = "cacheRules", sets_member = "credentialSets";
constexpr std::size_t whole_steps_max = 1000;  // a longer plan names its steps and leaves out what they were and will be

Refusal malformed(std::string message) { return {Refusal::Kind::invalid, "Invalid", std::move(message)}; }

Result<void, std::string> patch(RuleText& rule, const nlohmann::json& document) {
    return entrepot::patch_rule(rule, document, ReadOnlyMembers::ignored);
}
Result<void, std::string> patch(CredentialSet& set, const nlohmann::json& document) {
    return entrepot::patch_credential_set(set, document, ReadOnlyMembers::ignored);
}

/// A change that makes the value what the document says, nothing of it left from before.
template <typename Value>
AnyChange become(std::string name, const nlohmann::json& document) {
    auto edit = [&document](const Value*) -> Result<std::optional<Value>, std::string> {
        Value value;
        auto patched = patch(value, document);
        if (!patched) return patched.error();
        return std::optional(std::move(value));
    };
    return Change<Value>{std::move(name), {}, edit};
}

template <typename Value>
AnyChange go(std::string name) {
    auto gone = [](const Value*) -> Result<std::optional<Value>, std::string> { return std::optional<Value>(); };
    return Change<Value>{std::move(name), {}, gone};
}

/// The changes of one list; its names are added to `named`.
template <typename Value>
Result<void, Refusal> add_list(const nlohmann::json& body, std::string_view member, std::set<std::string, std::less<>>& named,
                               std::vector<AnyChange>& changes) {
    auto list = body.find(member);
    if (list == body.end()) return {};
    if (!list->is_array()) return malformed(fmt::format("\"{}\" must be a list of objects", member));
    for (std::size_t i = 0; i < list->size(); ++i) {
        auto& document = (*list)[i];
        auto name = document.is_object() ? document.find("name") : document.end();
        bool sound = document.is_object() && name != document.end() && name->is_string();
        if (!sound) return malformed(fmt::format("{}[{}] must be an object with a \"name\"", member, i));
        named.insert(name->get<std::string>());
        changes.push_back(become<Value>(name->get<std::string>(), document));
    }
    return {};
}

/// What the document asks for, given what is there.
Result<std::vector<AnyChange>, Refusal> compose(const nlohmann::json& body, bool prune, const OperatorState& state) {
    for (auto& [member, value] : body.items()) {
        if (member != rules_member && member != sets_member)
            return malformed(
                fmt::format("there is no member \"{}\"; there are {} and {}", escaped(member, 100), rules_member, sets_member));
    }
    std::vector<AnyChange> changes;
    std::set<std::string, std::less<>> rules, sets;
    auto added = add_list<CredentialSet>(body, sets_member, sets, changes);
    if (added) added = add_list<RuleText>(body, rules_member, rules, changes);
    if (!added) return added.error();
    if (!prune) return changes;
    for (auto* rule : state.rules_after("", SIZE_MAX)) {
        if (rule->origin == RuleOrigin::api && !rules.contains(rule->name)) changes.push_back(go<RuleText>(rule->name));
    }
    for (auto& [name, set] : state.credential_sets()) {
        if (set.origin == RuleOrigin::api && !sets.contains(name)) changes.push_back(go<CredentialSet>(name));
    }
    return changes;
}

JsonDocument plan_document(const Outcome& outcome, bool applied) {
    JsonDocument document;
    document["plan"] = JsonDocument::array();
    bool whole = outcome.steps.size() <= whole_steps_max;
    for (auto& step : outcome.steps) {
        auto entry = step_document(step);
        if (!whole) {
            entry.erase("before");
            entry.erase("after");
        }
        document["plan"].push_back(std::move(entry));
    }
    document["notes"] = outcome.notes;
    document["applied"] = applied;
    document["etag"] = outcome.state_etag;
    return document;
}

}  // namespace

Task<ApiReply> apply_document(ApiCall& call) {
    auto dry_run = call.query.flag(parameter_dry_run), prune = call.query.flag("prune");
    if (!dry_run) co_return dry_run.error();
    if (!prune) co_return prune.error();
    Batch batch;
    batch.dry_run = *dry_run;
    batch.state_etag = precondition_of(call).etag;
    batch.compose = [&body = call.body, prune = *prune](const OperatorState& state) { return compose(body, prune, state); };
    auto made = co_await call.context.control->change(std::move(batch));
    if (!made) co_return api_error(made.error());
    // What was asked and what came of it end there as well: with many rules that takes longer than a shard may be away.
    auto write = [&] {
        auto reply = ApiReply::document(plan_document(*made, !*dry_run));
        *made = Outcome();
        call.body = nullptr;
        return reply;
    };
    co_return co_await run_blocking(Lane::resolver, write);
}

Task<ApiReply> export_document(ApiCall& call) {
    auto& state = call.context.control->state();
    auto etag = state.etag();
    auto rules = state.rules_made_at_run_time();
    std::vector<CredentialSet> sets;
    for (auto& [name, set] : state.credential_sets()) {
        if (set.origin == RuleOrigin::api) sets.push_back(set);
    }
    auto write = [&] {
        JsonDocument document;
        document[std::string(rules_member)] = JsonDocument::array();
        document[std::string(sets_member)] = JsonDocument::array();
        for (auto& rule : rules) document[std::string(rules_member)].push_back(rule_document(*rule));
        for (auto& set : sets) document[std::string(sets_member)].push_back(credential_set_document(set, {}));
        return ApiReply::document(document);
    };
    auto reply = co_await run_blocking(Lane::resolver, write);
    co_return std::move(reply.with_etag(std::move(etag)));
}

}  // namespace entrepot
