// /api/v1/cache-rules, /api/v1/credential-sets and /api/v1/accounts: list, show, put, patch, delete. They differ in what a document holds, no more. References to secrets come
// and go here, never a secret.

#include "admin/api_change.h"
#include "admin/handlers.h"
#include "entrepot/io/blocking.h"

namespace entrepot {
namespace {

/// A rule as the list and the single view show it: one that takes no part says why.
struct ShownRule {
    RuleText value;
    std::string problem;

    JsonDocument document() const {
        auto document = rule_document(value);
        if (problem.empty()) return document;
        document["provisioningState"] = "Failed";
        document["problem"] = problem;
        return document;
    }
};

struct ShownSet {
    CredentialSet value;
    std::vector<CredentialHealth> health;

    JsonDocument document() const { return credential_set_document(value, health); }
};

/// What the handlers below need to know of a kind.
struct Rules {
    using Value = RuleText;
    using Shown = ShownRule;
    static constexpr std::string_view path = "/api/v1/cache-rules", noun = "cache rule";
    static const Value* find(const OperatorState& state, std::string_view name) { return state.find_rule(name); }
    static auto after(const OperatorState& state, std::string_view name, std::size_t count_max) {
        return state.rules_after(name, count_max);
    }
    static Shown show(const Control& control, const Value& rule) { return {rule, control.state().problem_of(rule.name)}; }
    static Result<void, std::string> patch(Value& rule, const nlohmann::json& changes) {
        return entrepot::patch_rule(rule, changes, ReadOnlyMembers::refused);
    }
};

struct CredentialSets {
    using Value = CredentialSet;
    using Shown = ShownSet;
    static constexpr std::string_view path = "/api/v1/credential-sets", noun = "credential set";
    static const Value* find(const OperatorState& state, std::string_view name) { return state.find_credential_set(name); }
    static auto after(const OperatorState& state, std::string_view name, std::size_t count_max) {
        return state.credential_sets_after(name, count_max);
    }
    static Shown show(const Control& control, const Value& set) { return {set, control.find_credential(set.name)->health()}; }
    static Result<void, std::string> patch(Value& set, const nlohmann::json& changes) {
        return entrepot::patch_credential_set(set, changes, ReadOnlyMembers::refused);
    }
};

struct ShownAccount {
    Account value;

    JsonDocument document() const { return account_document(value); }
};

struct Accounts {
    using Value = Account;
    using Shown = ShownAccount;
    static constexpr std::string_view path = "/api/v1/accounts", noun = "account";
    static const Value* find(const OperatorState& state, std::string_view name) { return state.find_account(name).get(); }
    static auto after(const OperatorState& state, std::string_view name, std::size_t count_max) {
        return state.accounts_after(name, count_max);
    }
    static Shown show(const Control&, const Value& account) { return {account}; }
};

template <typename Kind>
Task<ApiReply> list(ApiCall& call) {
    auto page = page_of(call.query);
    if (!page) co_return page.error();
    auto& control = *call.context.control;
    auto found = Kind::after(control.state(), page->after, page->count + 1);
    bool more = found.size() > page->count;
    if (more) found.pop_back();
    std::vector<typename Kind::Shown> shown;
    for (auto* value : found) shown.push_back(Kind::show(control, *value));
    // A thousand documents take longer to write than a shard may be away.
    auto write = [&] {
        JsonDocument document;
        document["value"] = JsonDocument::array();
        for (auto& one : shown) document["value"].push_back(one.document());
        document["nextLink"] = next_link(Kind::path, *page, more, shown.empty() ? std::string() : shown.back().value.name);
        return ApiReply::document(document);
    };
    co_return co_await run_blocking(Lane::resolver, write);
}

template <typename Kind>
Task<ApiReply> show(ApiCall& call) {
    auto& control = *call.context.control;
    auto* value = Kind::find(control.state(), call.name);
    if (!value) co_return no_such(Kind::noun, call.name);
    auto reply = ApiReply::document(Kind::show(control, *value).document());
    co_return std::move(reply.with_etag(etag_of(*value)));
}

/// The call outlives the change.
template <typename Kind>
AnyChange edit(const ApiCall& call, Precondition when, bool from_what_is_there) {
    using Value = typename Kind::Value;
    auto edited = [&call, from_what_is_there](const Value* before) -> Result<std::optional<Value>, std::string> {
        auto value = from_what_is_there ? *before : Value();
        auto patched = Kind::patch(value, call.body);
        if (!patched) return patched.error();
        return std::optional(std::move(value));
    };
    return Change<Value>{call.name, std::move(when), edited};
}

template <typename Kind>
Task<ApiReply> put(ApiCall& call) {
    if (call.if_match.empty() && call.if_none_match.empty())
        co_return ApiError(428, "PreconditionRequired",
                           "say whether to create (If-None-Match: *) or to replace (If-Match: * or the etag that you saw)");
    auto change = edit<Kind>(call, precondition_of(call), false);
    co_return co_await make_change(call, std::move(change));
}

template <typename Kind>
Task<ApiReply> patch(ApiCall& call) {
    auto when = precondition_of(call);
    when.must_exist = true;
    auto change = edit<Kind>(call, std::move(when), true);
    co_return co_await make_change(call, std::move(change));
}

template <typename Kind>
Task<ApiReply> remove(ApiCall& call) {
    using Value = typename Kind::Value;
    auto when = precondition_of(call);
    when.must_exist = true;
    auto gone = [](const Value*) -> Result<std::optional<Value>, std::string> { return std::optional<Value>(); };
    AnyChange change = Change<Value>{call.name, std::move(when), gone};
    co_return co_await make_change(call, std::move(change));
}

}  // namespace

Task<ApiReply> list_rules(ApiCall& call) { return list<Rules>(call); }
Task<ApiReply> show_rule(ApiCall& call) { return show<Rules>(call); }
Task<ApiReply> put_rule(ApiCall& call) { return put<Rules>(call); }
Task<ApiReply> patch_rule(ApiCall& call) { return patch<Rules>(call); }
Task<ApiReply> delete_rule(ApiCall& call) { return remove<Rules>(call); }

Task<ApiReply> list_credential_sets(ApiCall& call) { return list<CredentialSets>(call); }
Task<ApiReply> show_credential_set(ApiCall& call) { return show<CredentialSets>(call); }
Task<ApiReply> put_credential_set(ApiCall& call) { return put<CredentialSets>(call); }
Task<ApiReply> patch_credential_set(ApiCall& call) { return patch<CredentialSets>(call); }
Task<ApiReply> delete_credential_set(ApiCall& call) { return remove<CredentialSets>(call); }

// What makes and changes accounts is in api_accounts.cpp.
Task<ApiReply> list_accounts(ApiCall& call) { return list<Accounts>(call); }
Task<ApiReply> show_account(ApiCall& call) { return show<Accounts>(call); }
Task<ApiReply> delete_account(ApiCall& call) { return remove<Accounts>(call); }

Task<ApiReply> check_credential_set(ApiCall& call) {
    auto& control = *call.context.control;
    auto credential = control.find_credential(call.name);
    if (!credential || !control.state().find_credential_set(call.name)) co_return no_such(CredentialSets::noun, call.name);
    auto upstream = control.upstream_of(credential->login_server());
    if (!upstream) co_return ApiError(409, "SourceNotAllowed", upstream.error());
    (void)co_await call.context.upstreams->check(**upstream, credential);
    // What the check found is part of the credential. The set may be gone or another by now.
    auto* set = control.state().find_credential_set(call.name);
    if (!set) co_return no_such(CredentialSets::noun, call.name);
    co_return ApiReply::document(CredentialSets::show(control, *set).document());
}

}  // namespace entrepot
