#include "upstream/request.h"

#include "entrepot/base/assert.h"
#include "entrepot/base/log.h"
#include "entrepot/http/range.h"
#include "entrepot/oci/manifest.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

bool wants_manifest(UpstreamKind kind) {
    return kind == UpstreamKind::manifest_get || kind == UpstreamKind::manifest_head || kind == UpstreamKind::referrers;
}

bool is_identity(std::string_view encoding) {
    constexpr std::string_view identity = "identity";
    return encoding.size() == identity.size() &&
           std::equal(encoding.begin(), encoding.end(), identity.begin(), [](char a, char b) { return (a | 0x20) == b; });
}

}  // namespace

Url url_at(const Origin& endpoint, const UpstreamRequest& request) {
    Url url;
    url.origin = endpoint;
    url.path = fmt::format("/v2/{}/{}", request.repository, request.resource);
    url.query = request.query;
    return url;
}

std::string request_head(const UpstreamRequest& request, const Url& url, const std::string& authorization) {
    auto target = url.target();
    ASSERT(target.find_first_of(" \r\n") == std::string::npos);  // names, digests and URLs were parsed before they came here
    auto head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept-Encoding: identity\r\n",
                            request.head ? "HEAD" : "GET", target, url.origin.authority(), user_agent);
    if (wants_manifest(request.kind)) head += fmt::format("Accept: {}\r\n", manifest_accept);
    if (request.range_from > 0) head += fmt::format("Range: bytes={}-\r\n", request.range_from);
    constexpr std::string_view name = "Authorization: ", end = "\r\n";
    head.reserve(head.size() + name.size() + authorization.size() + 2 * end.size());  // no copy is left behind in outgrown memory
    if (!authorization.empty()) head.append(name).append(authorization).append(end);
    head.append(end);
    return head;  // itself: what append() gives would be copied
}

std::string pull_scope(const UpstreamRequest& request, const Url& url) {
    constexpr std::string_view root = "/v2/";
    std::string_view path = url.path;
    for (std::string_view resource : {"/manifests/", "/blobs/", "/tags/", "/referrers/"}) {
        auto end = path.rfind(resource);
        if (path.starts_with(root) && end != path.npos && end > root.size())
            return fmt::format("repository:{}:pull", path.substr(root.size(), end - root.size()));
    }
    return fmt::format("repository:{}:pull", request.repository);
}

std::string why_unusable(const UpstreamRequest& request, const ResponseHead& head) {
    if (!head.content_encoding.empty() && !is_identity(head.content_encoding)) {
        return fmt::format("an encoded body ({}) that was not asked for", escaped(head.content_encoding, 40));
    }
    if (head.status != 206) return {};
    if (request.range_from == 0) return "a part that was not asked for";
    auto range = parse_content_range(head.content_range);
    if (!range || range->unsatisfied || range->first != request.range_from) return "another range than the one asked for";
    if (head.content_length && *head.content_length != range->last - range->first + 1)
        return "a range and a length that contradict each other";
    return {};
}

}  // namespace entrepot
