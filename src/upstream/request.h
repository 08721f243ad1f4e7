#pragma once
// What leaves towards upstreams: request heads, rebuilt from parsed values only; and whether the head that comes back answers
// them.

#include "entrepot/http/response_head.h"
#include "entrepot/http/url.h"
#include "entrepot/upstream/upstream.h"

#include <string>

namespace entrepot {

constexpr std::string_view user_agent = "entrepot/0.1.0";

/// Where the resource lies at an endpoint.
Url url_at(const Origin& endpoint, const UpstreamRequest& request);

/// The whole request head. `authorization` may be empty.
std::string request_head(const UpstreamRequest& request, const Url& url, const std::string& authorization);

/// The scope of a token that pulls what `url` names ("repository:library/alpine:pull"). A redirect may have led to another
/// registry, where the repository has another name; without one in the path it is the request's.
std::string pull_scope(const UpstreamRequest& request, const Url& url);

/// Why a response of status 200 or 206 cannot be used, or "".
std::string why_unusable(const UpstreamRequest& request, const ResponseHead& head);

}  // namespace entrepot
