#include "cli/explanation.h"

#include "entrepot/base/units.h"

#include "cli/text.h"

#include <fmt/format.h>

#include <cstdint>

namespace entrepot::cli {
namespace {

std::uint64_t number_at(const Json& object, std::string_view member) {
    const Json& value = at(object, member);
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
}

std::string tag_state(const Json& tag) {
    if (!tag.is_object()) return "not known";
    return fmt::format("{}, checked {} ({} s ago), {}", text_at(tag, "digest"), text_at(tag, "checked"),
                       number_at(tag, "ageSeconds"),
                       scalar_text(at(tag, "fresh")) == "yes" ? "fresh" : "to be asked for again at the next pull");
}

std::string manifest_state(const Json& manifest) {
    const bool present = manifest.is_object() && scalar_text(at(manifest, "present")) != "no";
    // Of a digest that somebody names nothing need ever have been here; what a tag led to once has a type.
    if (!present && text_at(manifest, "mediaType").empty()) return "not stored";
    return fmt::format("{}{}, {}, {} bytes", present ? "" : "gone: ", text_at(manifest, "digest"), text_at(manifest, "mediaType"),
                       number_at(manifest, "size"));
}

std::string blobs_state(const Json& blobs) {
    if (!blobs.is_object()) return "not known";
    return fmt::format("{} stored ({}), {} missing", number_at(blobs, "present"), size_for_people(number_at(blobs, "bytes")),
                       number_at(blobs, "missing"));
}

std::string credentials_of(const Json& answer) {
    const auto set = text_at(answer, "credentialSet"), identity = text_at(answer, "identity");
    if (!set.empty()) return "credential set " + set;
    return identity.empty() ? "none: anonymous" : "identity " + identity;
}

std::string access_of(const Json& answer) {
    const Json& access = at(answer, "access");
    if (access.is_array()) return access.empty() ? "nobody" : joined_at(answer, "access");
    return scalar_text(access);
}

void add_route(Properties& lines, const Json& answer) {
    lines.add("Rule", text_at(answer, "rule").empty() ? "none" : text_at(answer, "rule"));
    lines.add("Why", text_at(answer, "reason"));
    if (text_at(answer, "sourceRepository").empty()) return;
    lines.add("Source", text_at(answer, "sourceRepository"));
    lines.add("Login server", text_at(answer, "loginServer"));
    lines.add("Endpoints", joined_at(answer, "endpoints"));
    lines.add("Credentials", credentials_of(answer));
    lines.add("May pull", access_of(answer));
    lines.add("Tag TTL", text_at(answer, "tagTtl"));
}

void add_stored(Properties& lines, const Json& answer) {
    const Json& stored = at(answer, "stored");
    if (!stored.is_object()) return;
    if (!text_at(answer, "tag").empty())
        lines.add("Tag", fmt::format("{}: {}", text_at(answer, "tag"), tag_state(at(stored, "tag"))));
    lines.add("Manifest", manifest_state(at(stored, "manifest")));
    lines.add("Blobs", blobs_state(at(stored, "blobs")));
}

/// What upstream said, member by member: it is another document for each kind of trouble.
void add_probe(Properties& lines, const Json& answer) {
    const Json& probe = at(answer, "probe");
    if (!probe.is_object()) return;
    for (const auto& [member, value] : probe.items())
        if (const auto text = scalar_text(value); !text.empty()) lines.add("Probe: " + printable(member, true), text);
}

}  // namespace

std::string explanation_text(const Json& answer, bool utf8) {
    Properties lines;
    lines.add("Reference", text_at(answer, "reference"));
    lines.add("Asked as", text_at(answer, "style"));
    lines.add("Repository", text_at(answer, "repository"));
    add_route(lines, answer);
    add_stored(lines, answer);
    add_probe(lines, answer);
    std::string text = lines.text(utf8);
    const Json& considered = at(answer, "considered");
    if (!considered.is_array() || considered.empty()) return text;
    Properties verdicts;
    for (const auto& one : considered) verdicts.add("  " + printable(text_at(one, "rule"), utf8), text_at(one, "verdict"));
    return text + "Considered:\n" + verdicts.text(utf8);
}

Table explanation_table(const Json& answer) {
    Table table({"Reference", "Rule", "Source", "LoginServer", "Tag", "Digest"});
    table.add({text_at(answer, "reference"), text_at(answer, "rule"), text_at(answer, "sourceRepository"),
               text_at(answer, "loginServer"), text_at(answer, "tag"), text_at(answer, "digest")});
    return table;
}

}  // namespace entrepot::cli
