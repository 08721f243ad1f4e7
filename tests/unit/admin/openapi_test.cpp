#include "admin/openapi.h"

#include "entrepot/admin/route.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string>

namespace entrepot {
namespace {

std::string lower(std::string_view name) {
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// Names of the parameters of one place ("query", "path") that an operation or its path has.
std::set<std::string> parameters(const nlohmann::json& path, const nlohmann::json& operation, std::string_view place) {
    std::set<std::string> names;
    for (const auto& from : {path, operation}) {
        if (!from.contains("parameters")) continue;
        for (const auto& parameter : from["parameters"]) {
            if (parameter["in"] == place) names.insert(parameter["name"].get<std::string>());
        }
    }
    return names;
}

std::set<std::string> words(std::string_view text) {
    std::set<std::string> found;
    while (!text.empty()) {
        const auto end = std::min(text.find(' '), text.size());
        if (end > 0) found.emplace(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return found;
}

}  // namespace

TEST_CASE("openapi: the description and the table name the same paths, methods, parameters and bodies") {
    const auto document = nlohmann::json::parse(openapi_document());
    CHECK(document["openapi"] == "3.1.0");
    std::set<std::string> in_table, described;
    for (const auto& route : admin_routes()) {
        const std::string path(route.path), method = lower(name_of(route.method));
        CAPTURE(path);
        CAPTURE(method);
        in_table.insert(method + " " + path);
        REQUIRE(document["paths"].contains(path));
        const auto& entry = document["paths"][path];
        REQUIRE(entry.contains(method));
        const auto& operation = entry[method];
        CHECK(parameters(entry, operation, "query") == words(route.query));
        CHECK(parameters(entry, operation, "path").contains("name") == (path.find("{name}") != std::string::npos));
        CHECK(operation.contains("requestBody") == (route.body_bytes_max > 0));
        CHECK(operation["responses"].contains("401") == (route.access == Access::change));
        CHECK_FALSE(operation["summary"].get<std::string>().empty());
    }
    for (const auto& [path, entry] : document["paths"].items()) {
        for (const auto& [method, operation] : entry.items()) {
            if (method != "parameters") described.insert(method + " " + path);
        }
    }
    CHECK(described == in_table);
}

TEST_CASE("openapi: every reference leads somewhere, and every operation has a name of its own") {
    const auto document = nlohmann::json::parse(openapi_document());
    std::set<std::string> operations;
    for (const auto& [path, entry] : document["paths"].items()) {
        for (const auto& [method, operation] : entry.items()) {
            if (method != "parameters") CHECK(operations.insert(operation["operationId"].get<std::string>()).second);
        }
    }
    const auto flat = document.flatten();
    int references = 0;
    for (const auto& [place, value] : flat.items()) {
        if (!place.ends_with("/$ref")) continue;
        ++references;
        const auto target = value.get<std::string>();
        CAPTURE(target);
        REQUIRE(target.starts_with("#"));
        CHECK(document.contains(nlohmann::json::json_pointer(target.substr(1))));
    }
    CHECK(references > 20);
}

}  // namespace entrepot
