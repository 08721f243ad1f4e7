#include "cli/plan_view.h"

#include <algorithm>
#include <array>

namespace entrepot::cli {
namespace {

struct ActionWords {
    const char* action;
    const char* mark;
    const char* done;
    const char* due;
};
constexpr std::array<ActionWords, 4> actions{{{"create", "+", "created", "to create"},
                                              {"update", "~", "changed", "to change"},
                                              {"delete", "-", "deleted", "to delete"},
                                              {"unchanged", "=", "unchanged", "unchanged"}}};

/// Members that only the server writes: they follow from the others, or differ for no reason of ours.
bool is_of_the_server(std::string_view member) {
    constexpr std::array<std::string_view, 7> members{
        "name", "credentialSetResourceId", "origin", "creationDate", "provisioningState", "etag", "credentialHealth"};
    return std::find(members.begin(), members.end(), member) != members.end();
}

std::string shown(const Json& value) {
    if (value.is_null() || (value.is_array() && value.empty())) return "none";
    if (value.is_string()) return value.get_ref<const std::string&>().empty() ? "none" : value.get<std::string>();
    if (!value.is_array()) return value.dump(-1, ' ', true, Json::error_handler_t::replace);
    std::string text;
    for (const auto& entry : value) {
        if (!text.empty()) text += ", ";
        text += shown(entry);
    }
    return text;
}

/// `depth` bounds what a strange document can make of us.
void compare(const Json& before, const Json& after, const std::string& path, int depth, std::string& text) {
    if (before == after) return;
    if (!before.is_object() || !after.is_object() || depth == 0) {
        if (!text.empty()) text += "; ";
        text += fmt::format("{}: {} -> {}", path, shown(before), shown(after));
        return;
    }
    const auto inner = [&](const std::string& member) {
        if (!is_of_the_server(member))
            compare(at(before, member), at(after, member), path.empty() ? member : path + "." + member, depth - 1, text);
    };
    for (const auto& [member, value] : after.items()) inner(member);
    for (const auto& [member, value] : before.items())
        if (!after.contains(member)) inner(member);
}

/// Pairs of a credential set differ by what they refer to, not by their health.
Json comparable(Json document) {
    if (at(document, "authCredentials").is_array()) {
        Json pairs = Json::object();
        for (const auto& pair : document["authCredentials"]) pairs[text_at(pair, "name")] = pair;
        document["authCredentials"] = std::move(pairs);
    }
    return document;
}

std::string kind_of(const Json& entry) {
    const auto kind = text_at(entry, "kind");
    if (kind == "cacheRule") return "cache rule";
    return kind == "credentialSet" ? "credential set" : kind;
}

std::string what_it_is(const Json& document) {
    const auto source = text_at(document, "sourceRepository");
    if (source.empty()) return text_at(document, "loginServer");
    return fmt::format("{} => {}", source, text_at(document, "targetRepository"));  // as the server's messages write it
}

std::string detail_of(const Json& entry) {
    const Json &before = at(entry, "before"), &after = at(entry, "after");
    if (before.is_object() && after.is_object() && before != after) return difference(before, after);
    return what_it_is(after.is_object() ? after : before);
}

std::string counts(const std::array<std::size_t, actions.size()>& count, bool done) {
    std::string text;
    for (std::size_t i = 0; i < actions.size(); ++i) {
        if (!text.empty()) text += ", ";
        text += fmt::format("{} {}", count[i], done ? actions[i].done : actions[i].due);
    }
    return text;
}

}  // namespace

std::string difference(const Json& before, const Json& after) {
    std::string text;
    compare(comparable(before), comparable(after), "", 3, text);
    return text;
}

Outcome<void> show_plan(const Session& session, const Json& document, const Json& entries, bool done) {
    Table table({"", "Kind", "Name", "What"});
    std::array<std::size_t, actions.size()> count{};
    for (const auto& entry : entries) {
        const auto action = text_at(entry, "action");
        const auto* words = std::find_if(actions.begin(), actions.end(), [&](auto& one) { return action == one.action; });
        const bool known = words != actions.end();
        if (known) ++count[static_cast<std::size_t>(words - actions.begin())];
        table.add({known ? words->mark : action, kind_of(entry), text_at(entry, "name"), detail_of(entry)});
    }
    std::string text = table.empty() ? "" : session.text_of(table);
    text += counts(count, done) + "\n";
    Properties notes;
    for (const auto* member : {"overlaps", "notes"})
        if (const Json& list = at(document, member); list.is_array())
            for (const auto& note : list) notes.add("note:", scalar_text(note));
    return session.show(document, text + session.text_of(notes), table);
}

}  // namespace entrepot::cli
