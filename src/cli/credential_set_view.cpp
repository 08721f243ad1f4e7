#include "cli/credential_set_view.h"

namespace entrepot::cli {
namespace {

const Json& pairs_of(const Json& set) { return at(set, "authCredentials"); }

std::string health_of(const Json& pair) { return text_at(at(pair, "credentialHealth"), "status"); }

/// Of both pairs: "Healthy", "Unhealthy / Healthy".
std::string health_of_all(const Json& set) {
    std::string text;
    if (!pairs_of(set).is_array()) return text;
    for (const auto& pair : pairs_of(set)) {
        if (!text.empty()) text += " / ";
        text += health_of(pair);
    }
    return text;
}

Table table_of(const std::vector<Json>& sets) {
    Table table({"Name", "LoginServer", "Username", "Password", "Health", "Created"});
    for (const auto& set : sets) {
        const auto& pairs = pairs_of(set);
        const Json first = pairs.is_array() && !pairs.empty() ? pairs.front() : Json();
        table.add({text_at(set, "name"), text_at(set, "loginServer"), text_at(first, "usernameSecretIdentifier"),
                   text_at(first, "passwordSecretIdentifier"), health_of_all(set), text_at(set, "creationDate")});
    }
    return table;
}

Properties details_of(const Json& set) {
    Properties properties;
    if (pairs_of(set).is_array()) {
        for (const auto& pair : pairs_of(set)) {
            const auto& health = at(pair, "credentialHealth");
            std::string said = text_at(health, "status");
            for (const auto* member : {"errorCode", "errorMessage"})
                if (const auto text = text_at(health, member); !text.empty()) said += ": " + text;
            if (const auto checked = text_at(health, "checked"); !checked.empty()) said += fmt::format(" (checked {})", checked);
            properties.add(text_at(pair, "name"), fmt::format("{} and {}", text_at(pair, "usernameSecretIdentifier"),
                                                              text_at(pair, "passwordSecretIdentifier")));
            properties.add("  Health", said);
        }
    }
    properties.add("Origin", text_at(set, "origin"));
    return properties;
}

}  // namespace

const View& credential_set_view() {
    static constexpr View view{table_of, details_of};
    return view;
}

}  // namespace entrepot::cli
