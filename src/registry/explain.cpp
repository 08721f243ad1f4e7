#include "entrepot/registry/explain.h"

#include "entrepot/base/log.h"
#include "entrepot/base/lower_case.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/known_registries.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace entrepot {
namespace {

std::string complaint(std::string_view reference, std::string_view why) {
    return fmt::format("reference '{}' {}", escaped(reference, 300), why);
}

/// The host in front of a name as users type it, and the rest; Docker Hub when there is none.
std::pair<std::string, std::string> split_host(std::string_view name) {
    auto slash = std::min(name.find('/'), name.size());
    if (slash == name.size() || !looks_like_login_server(name.substr(0, slash))) return {"docker.io", std::string(name)};
    return {std::string(canonical_login_server(lower_case(name.substr(0, slash)))), std::string(name.substr(slash + 1))};
}

/// Clients write Docker Hub's own images out.
std::string written_out(const std::string& host, std::string path) {
    bool official = host == "docker.io" && path.find('/') == std::string::npos;
    return official ? "library/" + path : path;
}

}  // namespace

std::string_view name_of(ClientStyle style) noexcept {
    switch (style) {
        case ClientStyle::target: return "target";
        case ClientStyle::ns: return "ns";
        case ClientStyle::root: return "root";
    }
    return "target";
}

std::optional<ClientStyle> parse_client_style(std::string_view text) noexcept {
    for (auto style : {ClientStyle::target, ClientStyle::ns, ClientStyle::root}) {
        if (text == name_of(style)) return style;
    }
    return std::nullopt;
}

Result<Subject, std::string> subject_of(std::string_view reference, ClientStyle style, std::string_view ns) {
    Subject subject;
    subject.style = style;
    auto name = reference;
    if (auto at = name.find('@'); at != std::string_view::npos) {
        subject.digest = Digest::parse(name.substr(at + 1));
        if (!subject.digest) return complaint(reference, "has no valid digest behind '@'");
        name = name.substr(0, at);
    }
    auto colon = name.rfind(':');
    if (colon != std::string_view::npos && name.find('/', colon) == std::string_view::npos) {
        subject.tag = name.substr(colon + 1);
        if (!is_tag(subject.tag)) return complaint(reference, "has no valid tag behind ':'");
        name = name.substr(0, colon);
    }
    if (subject.digest) subject.tag.clear();  // as clients do: the digest decides
    else if (subject.tag.empty()) subject.tag = "latest";

    if (style == ClientStyle::target || !ns.empty()) {
        // Ours, when it has a port: a path has none.
        auto slash = std::min(name.find('/'), name.size());
        bool has_port = name.substr(0, slash).find(':') != std::string_view::npos;
        subject.repository = has_port && slash < name.size() ? name.substr(slash + 1) : name;
        subject.ns = canonical_login_server(lower_case(ns));
    } else {
        auto [host, path] = split_host(name);
        subject.repository = written_out(host, std::move(path));
        if (style == ClientStyle::ns) subject.ns = host;
        else if (host != "docker.io")
            return complaint(reference, "is of another registry than Docker Hub, for which Docker asks no mirror");
    }
    if (!is_repository(subject.repository)) return complaint(reference, "names no valid repository");
    if (!subject.ns.empty() && !is_login_server(subject.ns))
        return fmt::format("ns '{}' is no login server", escaped(subject.ns, 300));
    return subject;
}

StoredImage find_stored(const Ledger& ledger, const Holder& holder, const Subject& subject) {
    StoredImage found;
    found.manifest = subject.digest;
    if (!subject.digest) found.tag = ledger.find_tag(holder.repository, subject.tag);
    if (found.tag && !ledger.granted(holder.scope, holder.repository, found.tag->digest)) found.tag.reset();
    if (found.tag) found.manifest = found.tag->digest;
    if (!found.manifest) return found;

    auto is_here = [&](const Digest& digest) {
        auto record = ledger.find_blob_head(digest);
        return record && ledger.granted(holder.scope, holder.repository, digest) ? record : std::nullopt;
    };
    auto root = is_here(*found.manifest);
    auto manifest = ledger.find_manifest(*found.manifest);
    found.manifest_present = root.has_value();
    found.size = root ? root->size : found.tag ? found.tag->size : 0;
    found.media_type = manifest ? manifest->media_type : found.tag ? found.tag->media_type : "";
    if (!root || !manifest) return found;
    std::unordered_set<Digest, DigestHash> seen{*found.manifest};
    std::vector<Digest> rest = std::move(manifest->references);
    while (!rest.empty() && seen.size() <= StoredImage::blobs_max) {
        auto digest = rest.back();
        rest.pop_back();
        if (!seen.insert(digest).second) continue;
        auto record = is_here(digest);
        if (!record) {
            ++found.blobs_missing;
            continue;
        }
        ++found.blobs_present;
        found.bytes += record->size;
        auto child = ledger.find_manifest(digest);
        if (child) rest.insert(rest.end(), child->references.begin(), child->references.end());
    }
    return found;
}

}  // namespace entrepot
