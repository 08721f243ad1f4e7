#pragma once
// How a real client pulls: which requests in which order, with which header fields, over how many connections, and what it does
// when one breaks. Taken from what containerd 1.6, docker 20.10 and skopeo 1.18 (containers/image 5.34) were seen to send.

#include "entrepot/base/clock.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::load {

struct ClientProfile {
    std::string_view name;
    bool asks_base = false;         ///< GET /v2/ first
    bool heads_tag = false;         ///< HEAD of the tag, then GET by digest; else one GET of the tag
    bool config_first = false;      ///< layers only once the config is here
    bool posts_for_token = false;   ///< OAuth2 password grant when there are credentials
    bool logs_in_twice = false;     ///< for the tag, and anew for everything else
    bool keeps_connections = true;  ///< else `Connection: close` on every request
    unsigned idle_connections_max = 0;
    unsigned transfers_max = 0;  ///< blobs at once
    unsigned resumes_max = 0;    ///< of one blob, by Range
    Duration resume_pause{0};
    std::string_view agent, any_manifest, extra_lines;  ///< header lines, each with its CRLF
    bool accepts_media_type = false;                    ///< `Accept: <the descriptor's media type>, */*` where that is known
};

/// "containerd", "docker" or "skopeo".
std::optional<ClientProfile> find_client_profile(std::string_view name) noexcept;

/// The header lines of a request, each with its CRLF, without Host. `media_type` may be empty.
std::string manifest_lines(const ClientProfile& profile, std::string_view media_type, bool is_head);
std::string blob_lines(const ClientProfile& profile, std::string_view media_type, bool resumes);
/// Of GET /v2/.
std::string base_lines(const ClientProfile& profile);

}  // namespace entrepot::load
