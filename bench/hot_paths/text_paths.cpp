// Pure paths between the receive buffer and the look-up: heads, targets, rules.

#include "entrepot/http/accept.h"
#include "entrepot/http/head_writer.h"
#include "entrepot/http/request_head.h"
#include "entrepot/http/response_head.h"
#include "entrepot/oci/request_target.h"
#include "entrepot/rules/rule_table.h"

#include "path.h"
#include "requests.h"

#include <algorithm>
#include <memory>

namespace entrepot::bench {
namespace {

constexpr unsigned rule_count = 1000;
constexpr unsigned times = 2000;

const std::string digest_text = "sha256:23d0ba9d0c4b1ee2a83f8e5d2f1b4a0c9e6d7f8a1b2c3d4e5f60718293a4b5c6";
const std::string blob_target = "/v2/library/busybox/blobs/" + digest_text;
const std::string manifest_target = "/v2/library/busybox/manifests/" + digest_text + "?ns=docker.io";

const std::string registry_answer =
    "HTTP/1.1 200 OK\r\nContent-Length: 1031739\r\nContent-Type: application/octet-stream\r\nDocker-Content-Digest: " +
    digest_text + "\r\nDocker-Distribution-Api-Version: registry/2.0\r\nEtag: \"" + digest_text +
    "\"\r\nCache-Control: max-age=31536000\r\nAccept-Ranges: bytes\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

HotPath request_head(std::string name, std::string text) {
    auto head = std::make_shared<RequestHead>();
    return path(std::move(name), times, [head, text = std::move(text)] {
        RequestHeadParser parser;
        head->clear();
        auto parsed = parser.parse(text, *head);
        ASSERT(parsed.state == ParseState::complete);
        keep(*head);
    });
}

HotPath request_head_in_two_pieces(std::string text) {
    auto head = std::make_shared<RequestHead>();
    return path("request head: docker's, in two pieces", times, [head, text = std::move(text)] {
        RequestHeadParser parser;
        auto first = parser.parse(std::string_view(text).substr(0, text.size() / 2), *head);
        auto whole = parser.parse(text, *head);
        ASSERT(first.state == ParseState::incomplete && whole.state == ParseState::complete);
        keep(*head);
    });
}

HotPath accept_line() {
    auto text = docker_request("GET", manifest_target);
    auto kept = std::make_shared<std::pair<std::string, RequestHead>>(std::move(text), RequestHead());
    RequestHeadParser parser;
    ASSERT(parser.parse(kept->first, kept->second).state == ParseState::complete);
    return path("accept: docker's six lines, an OCI manifest", times, [kept] {
        bool good = accepts(kept->second.accept, "application/vnd.oci.image.manifest.v1+json");
        ASSERT(good);
    });
}

HotPath response_head_read() {
    auto head = std::make_shared<ResponseHead>();
    return path("response head: a registry's answer, parsed", times, [head] {
        ResponseHeadParser parser;
        auto parsed = parser.parse(registry_answer, *head);
        ASSERT(parsed.state == ParseState::complete);
        keep(*head);
    });
}

HotPath response_head_written() {
    return path("response head: a manifest's, written", times, [] {
        std::array<char, 1024> space;
        HeadWriter writer(space);
        writer.status_line(200).prepared("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        writer.prepared("Docker-Distribution-Api-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n");
        writer.field("OCI-Namespace", "docker.io").field("Content-Type", "application/vnd.oci.image.manifest.v1+json");
        writer.field("Content-Length", 2048).field("Docker-Content-Digest", digest_text).field("ETag", digest_text);
        auto head = writer.field("X-Entrepot-Cache", "hit").finish();
        ASSERT(head);
        keep(*head);
    });
}

HotPath request_target(std::string name, const std::string& text) {
    auto question = std::min(text.find('?'), text.size());
    auto query = text.substr(std::min(question + 1, text.size()));
    return path(std::move(name), times, [text = text.substr(0, question), query = std::move(query)] {
        QueryScratch scratch;
        auto target = parse_request_target(text, query, scratch);
        ASSERT(target);
        keep(*target);
    });
}

// Half static rules, half wildcards of two depths, on ten login servers; the last is Docker Hub's.
RuleTable thousand_rules() {
    std::vector<RuleText> texts;
    for (unsigned i = 0; i + 1 < rule_count; ++i) {
        RuleText rule;
        auto server = fmt::format("registry{}.example.com", i % 10);
        const char* rest = i % 2 ? "/service" : i % 4 ? "/mirror/*" : "/*";
        rule.name = fmt::format("rule-{}", i);
        rule.target = fmt::format("team{}{}", i, rest);
        rule.source = fmt::format("{}/org{}{}", server, i, rest);
        texts.push_back(rule);
    }
    RuleText hub;
    hub.name = "hub", hub.source = "docker.io/*", hub.target = "docker.io/*";
    texts.push_back(hub);
    auto table = RuleTable::build(std::move(texts), {});
    ASSERT(table);
    return *std::move(table);
}

HotPath rule_lookup(std::string name, const std::shared_ptr<RuleTable>& table, std::string repository, std::string ns) {
    return path(std::move(name), times, [table, repository = std::move(repository), ns = std::move(ns)] {
        RouteBuffer buffer;
        auto route = table->find(repository, ns, buffer);
        ASSERT(route);
        keep(*route);
    });
}

}  // namespace

Paths text_paths() {
    auto rules = std::make_shared<RuleTable>(thousand_rules());
    Paths all;
    all.push_back(request_head("request head: docker GET manifest", docker_request("GET", "/v2/library/busybox/manifests/1.35")));
    all.push_back(request_head("request head: containerd GET manifest", containerd_request("GET", manifest_target)));
    all.push_back(request_head_in_two_pieces(docker_request("GET", "/v2/library/busybox/manifests/1.35")));
    all.push_back(accept_line());
    all.push_back(response_head_read());
    all.push_back(response_head_written());
    all.push_back(request_target("request target: blob", blob_target));
    all.push_back(request_target("request target: manifest by digest, ns", manifest_target));
    all.push_back(rule_lookup("1,000 rules: by target", rules, "team500/library/application", ""));
    all.push_back(rule_lookup("1,000 rules: by ns", rules, "org501/service", "registry1.example.com"));
    all.push_back(rule_lookup("1,000 rules: docker's root style", rules, "library/busybox", ""));
    return all;
}

}  // namespace entrepot::bench
