#include "load/target.h"

#include "entrepot/base/log.h"
#include "entrepot/oci/name.h"
#include "entrepot/oci/request_target.h"

#include <fmt/format.h>

namespace entrepot::load {
namespace {

constexpr std::string_view loopback_hosts[] = {"localhost", "::1"};

bool is_this_machine(std::string_view host) noexcept {
    return host.starts_with("127.") || host == loopback_hosts[0] || host == loopback_hosts[1];
}

/// Takes note of what a URL asks of a registry.
void read_path(Target& target, const TargetHabits& habits) {
    QueryScratch scratch;
    auto asked = parse_request_target(target.url.path, target.url.query, scratch);
    if (!asked || asked->kind == TargetKind::base) return;
    if (asked->kind == TargetKind::blob || asked->kind == TargetKind::manifest) target.digest = asked->digest;
    target.ns = std::string(asked->ns);
    if (target.ns.empty() && !habits.ns.empty()) {
        target.ns = habits.ns;
        target.url.query = set_query(target.url.query, "ns", habits.ns);
    }
    if (asked->kind != TargetKind::manifest || habits.as_url) return;
    target.is_image = true;
    target.repository = std::string(asked->repository);
    target.reference = asked->digest ? asked->digest->text() : std::string(asked->tag);
}

Result<Target, std::string> parse_url_target(std::string_view text, const TargetHabits& habits) {
    Target target;
    auto url = parse_url(text);
    if (!url)
        return fmt::format("{} is not a URL this tool can ask (http or https, no user name, no fragment)", escaped(text, 200));
    target.text = std::string(text);
    target.url = std::move(*url);
    read_path(target, habits);
    return target;
}

/// `NAME`, `NAME:TAG`, `NAME@DIGEST` behind the host.
bool split_reference(std::string_view rest, std::string& repository, std::string& reference) {
    auto at = rest.find('@');
    auto colon = rest.rfind(':');
    if (at != rest.npos) {
        repository = rest.substr(0, at);
        reference = rest.substr(at + 1);
        if (auto tagged = repository.rfind(':'); tagged != repository.npos) repository.resize(tagged);
        return is_repository(repository) && Digest::parse(reference);
    }
    repository = rest.substr(0, colon);
    reference = colon == rest.npos ? "latest" : rest.substr(colon + 1);
    return is_repository(repository) && is_tag(reference);
}

}  // namespace

Result<Target, std::string> parse_target(std::string_view text, const TargetHabits& habits) {
    if (text.find("://") != text.npos) return parse_url_target(text, habits);
    auto slash = text.find('/');
    auto host = text.substr(0, slash);
    if (slash == text.npos || !looks_like_login_server(host))
        return fmt::format("{} names no server: write HOST:PORT/NAME:TAG or a URL", escaped(text, 200));
    std::string repository, reference;
    if (!split_reference(text.substr(slash + 1), repository, reference))
        return fmt::format("{} is not an image reference (HOST:PORT/NAME:TAG or HOST:PORT/NAME@sha256:...)", escaped(text, 200));
    auto origin = parse_authority("http", host);
    bool plain = habits.plain_http || (!habits.tls && origin && is_this_machine(origin->host));
    auto url = fmt::format("{}://{}/v2/{}/manifests/{}", plain ? "http" : "https", host, repository, reference);
    TargetHabits image = habits;
    image.as_url = false;
    auto target = parse_url_target(url, image);
    if (target) target->text = std::string(text);
    return target;
}

}  // namespace entrepot::load
