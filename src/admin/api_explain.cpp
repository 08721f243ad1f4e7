// GET and POST /api/v1/explain: which rule takes a reference, where it leads, what of it is here; also with a rule that does not exist yet. Changes nothing.

#include "admin/api_change.h"
#include "admin/handlers.h"
#include "entrepot/admin/admin.h"
#include "entrepot/admin/api_fields.h"
#include "entrepot/io/blocking.h"
#include "entrepot/registry/explain.h"
#include "entrepot/rules/known_registries.h"
#include "entrepot/rules/rule_document.h"
#include "entrepot/rules/rule_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

using Json = nlohmann::ordered_json;

struct Asked {
    Subject subject;
    std::string reference;
    bool probe = false;
    std::optional<RuleText> what_if;
};

/// What a rule leads to; of one that does not exist yet as far as it can be known.
struct Way {
    std::optional<Source> source;  ///< none: its upstream or its identity is not known before a rule names it
    Holder holder;
    std::vector<std::string> endpoints;
};

Result<Asked, ApiError> asked_of(const std::string& reference, const std::string& style, const std::string& ns) {
    Asked asked;
    asked.reference = reference;
    auto usual = ns.empty() ? ClientStyle::target : ClientStyle::ns;
    auto parsed = style.empty() ? usual : parse_client_style(style);
    if (!parsed) return ApiError(400, "StyleInvalid", "style must be target, ns or root");
    if (!ns.empty() && *parsed != ClientStyle::ns)
        return ApiError(400, "StyleInvalid", "an ns is sent by clients of style ns only");
    auto subject = subject_of(reference, *parsed, ns);
    if (!subject) return ApiError(400, "ReferenceInvalid", subject.error());
    asked.subject = *std::move(subject);
    return asked;
}

std::vector<std::string> endpoints_of(std::string_view login_server) {
    auto* known = find_known_registry(login_server);
    return {fmt::format("https://{}", known ? known->endpoint_host : login_server)};
}

/// The rules as they would be with one more, or with another of its name.
Result<RuleTable, std::string> table_with(const RuleTable& rules, const RuleText& what_if) {
    auto parsed = CacheRule::parse(what_if);
    if (!parsed) return parsed.error();
    RuleList list = rules.rules();
    std::erase_if(list, [&](auto& rule) { return rule->name() == what_if.name; });
    list.push_back(std::make_shared<const CacheRule>(*std::move(parsed)));
    auto table = RuleTable::build(std::move(list), rules.options());
    if (!table) return table.error().message;
    return *std::move(table);
}

/// What would refuse the rule by itself; what it would meet is the table's to say.
std::optional<ApiError> objection_to(const Control& control, const RuleText& what_if) {
    auto parsed = CacheRule::parse(what_if);
    if (!parsed) return ApiError(400, "RuleInvalid", parsed.error());
    auto checked = control.state().check(*parsed);
    return checked ? std::nullopt : std::optional(api_error(checked.error()));
}

Way way_of(const Routing& routing, const Control& control, const CacheRule& rule, const std::string& repository, bool exists) {
    Way way;
    auto* upstream = control.find_upstream(rule.login_server());
    // An identity begins with the rule that names it: without it upstream would be asked by nobody's rights, which is another question.
    bool may_ask = upstream && rule.text().identity.empty();
    if (exists) {
        way.source = routing.find_source(rule.name(), repository)->source;
    } else if (may_ask) {
        auto credential = rule.credential_set().empty() ? nullptr : control.find_credential(rule.credential_set());
        way.source = make_source(*upstream, std::move(credential), repository, rule.tag_ttl());
        way.source->stale = rule.text().stale;
        way.source->freshness = rule.freshness();
    }
    way.endpoints = upstream ? upstream->endpoints : endpoints_of(rule.login_server());
    way.holder = way.source ? Holder{way.source->scope(), way.source->ledger_name}
                            : Holder{credential_name_of(rule.text(), rule.login_server()),
                                     fmt::format("{}/{}", rule.login_server(), repository)};
    return way;
}

std::string refusal_of(const CacheRule& rule, const std::string& repository, const Subject& subject) {
    auto refusal = why_not_repository(rule, repository);
    if (refusal.empty() && !subject.digest) refusal = why_not_tag(rule, subject.tag);
    return refusal;
}

Json access_of(const RuleText& rule) {
    if (rule.anonymous()) return Json(anonymous_puller);
    auto access = Json::array();
    for (auto& name : rule.pull) access.push_back(name);
    return access;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json stored_document(const StoredImage& stored, const std::optional<Source>& source, const Subject& subject) {
    Json document, tag, manifest, blobs;
    if (stored.tag) {
        auto age = wall_seconds() - stored.tag->checked;
        tag["digest"] = stored.tag->digest.text();
        tag["checked"] = rfc3339(stored.tag->checked);
        tag["ageSeconds"] = age;
        tag["fresh"] = source && age >= 0 && seconds(age) < tag_life(*source, subject.tag);
    }
    if (stored.manifest) {
        manifest["digest"] = stored.manifest->text();
        manifest["mediaType"] = text_or_null(stored.media_type);
        manifest["size"] = stored.size;
        manifest["present"] = stored.manifest_present;
    }
    blobs["present"] = stored.blobs_present;
    blobs["missing"] = stored.blobs_missing;
    blobs["bytes"] = stored.bytes;
    document["tag"] = std::move(tag);
    document["manifest"] = std::move(manifest);
    document["blobs"] = std::move(blobs);
    return document;
}

void add_rule(Json& document, const CacheRule* rule, const RuleExplanation& explanation, const Way& way) {
    auto text_of_rule = [rule](const std::string& text) { return rule ? text_or_null(text) : Json(); };
    document["sourceRepository"] = rule ? Json(fmt::format("{}/{}", rule->login_server(), explanation.repository)) : Json();
    document["loginServer"] = rule ? Json(rule->login_server()) : Json();
    document["endpoints"] = way.endpoints;
    document["credentialSet"] = text_of_rule(rule ? rule->credential_set() : "");
    document["identity"] = text_of_rule(rule ? rule->text().identity : "");
    document["access"] = rule ? access_of(rule->text()) : Json();
    document["tagTtl"] = rule ? rule_document(rule->text())["tagTtl"] : Json();
}

Task<Json> probe(Cache& cache, std::optional<Source> source, std::string resource) {
    Json document;
    document["digest"] = nullptr;
    document["error"] =
        "upstream was not asked: its login server or its identity is known once a rule names it; create the rule first";
    if (!source) co_return document;
    auto said = co_await cache.probe(*std::move(source), std::move(resource));
    document["digest"] = said ? text_or_null(*said) : Json();
    document["error"] = said ? Json() : Json(said.error().why);
    co_return document;
}

Task<ApiReply> explain(ApiCall& call, Asked asked) {
    if (!call.context.ready)
        co_return ApiError(503, "NotReady", "the store is being loaded, or the server is stopping: ask /readyz");
    auto& control = *call.context.control;
    auto& cache = *call.context.cache;
    auto routing = control.routing();
    auto& subject = asked.subject;
    std::optional<RuleTable> table;
    auto objection = asked.what_if ? objection_to(control, *asked.what_if) : std::nullopt;
    if (objection) co_return *std::move(objection);
    // Every rule is looked at, and a table with one more is built anew: on a lane.
    auto build = [&]() -> Result<RuleExplanation, std::string> {
        if (asked.what_if) {
            auto made = table_with(routing->rules(), *asked.what_if);
            if (!made) return made.error();
            table.emplace(*std::move(made));
        }
        return explain_route(table ? *table : routing->rules(), subject.repository, subject.ns);
    };
    auto explained = co_await run_blocking(Lane::resolver, build);
    if (!explained) co_return ApiError(409, "RuleRefused", explained.error());
    auto* rule = explained->rule;
    Way way;
    StoredImage stored;
    std::string refusal;
    bool exists = rule && !(asked.what_if && asked.what_if->name == rule->name());
    if (rule) {
        way = way_of(*routing, control, *rule, explained->repository, exists);
        refusal = refusal_of(*rule, explained->repository, subject);
        auto look = [&] { return find_stored(cache.ledger(), way.holder, subject); };
        stored = co_await run_blocking(Lane::resolver, look);
    }
    Json document;
    document["reference"] = asked.reference;
    document["style"] = name_of(subject.style);
    document["repository"] = subject.repository;
    document["tag"] = text_or_null(subject.tag);
    document["digest"] = subject.digest ? Json(subject.digest->text()) : Json();
    document["rule"] = rule ? Json(rule->name()) : Json();
    document["reason"] = explained->reason + (refusal.empty() ? "" : fmt::format("; but it {}", refusal));
    document["served"] = rule && refusal.empty();
    add_rule(document, rule, *explained, way);
    document["stored"] = stored_document(stored, way.source, subject);
    document["considered"] = Json::array();
    for (auto& one : explained->considered) document["considered"].push_back({{"rule", one.rule}, {"verdict", one.verdict}});
    document["probe"] = nullptr;
    if (asked.probe && rule && refusal.empty()) {
        auto probing = probe(cache, way.source, subject.resource());
        document["probe"] = co_await probing;
    }
    co_return ApiReply::document(std::move(document));
}

}  // namespace

Task<ApiReply> explain_reference(ApiCall& call) {
    auto text = [&call](std::string_view name) {
        auto* found = call.query.find(name);
        return found ? *found : std::string();
    };
    auto asked = asked_of(text("reference"), text("style"), text("ns"));
    if (!asked) co_return asked.error();
    auto wants_probe = call.query.flag("probe");
    if (!wants_probe) co_return wants_probe.error();
    asked->probe = *wants_probe;
    auto explained = explain(call, *std::move(asked));
    co_return co_await explained;
}

Task<ApiReply> explain_what_if(ApiCall& call) {
    ApiFields fields(call.body);
    auto reference = fields.required_text("reference"), style = fields.text("style").value_or(""),
         ns = fields.text("ns").value_or("");
    auto wants_probe = fields.flag("probe").value_or(false);
    auto* rule = fields.any("rule");
    if (rule && !rule->is_null() && !rule->is_object())
        fields.refuse("\"rule\" must be an object with the members of a cache rule");
    if (auto sound = fields.finish(); !sound) co_return sound.error();
    auto asked = asked_of(reference, style, ns);
    if (!asked) co_return asked.error();
    asked->probe = wants_probe;
    if (rule && rule->is_object()) {
        RuleText what_if;
        what_if.name = "what-if";
        what_if.origin = RuleOrigin::api;
        auto members = *rule;
        auto name = members.find("name");
        if (name != members.end() && name->is_string()) what_if.name = *name->get_ptr<const std::string*>();
        members.erase("name");
        auto patched = patch_rule(what_if, members, ReadOnlyMembers::ignored);
        if (!patched) co_return ApiError(400, "RuleInvalid", patched.error());
        asked->what_if = std::move(what_if);
    }
    auto explained = explain(call, *std::move(asked));
    co_return co_await explained;
}

}  // namespace entrepot
