#pragma once
// Everything a run needs, read, looked up and checked before the first connection: targets with their requests, when each is
// due, who may be asked, and with which login. Immutable while the load runs, so that all workers read it.

#include "entrepot/net/tls.h"
#include "load/client_profile.h"
#include "load/options.h"
#include "load/popularity.h"
#include "load/reach.h"
#include "load/schedule.h"
#include "load/target.h"

#include <memory>

namespace entrepot::load {

/// Targets, the request that each URL is, and how they are chosen from.
struct Catalogue {
    std::vector<Target> targets;
    std::vector<std::string> requests;       ///< request line and fields without the empty line; empty for images
    std::unique_ptr<Popularity> popularity;  ///< null: in turn
};

struct Plan {
    Options options;
    ClientProfile profile;
    std::string password;
    Catalogue catalogue;
    std::vector<Catalogue> probes;  ///< one target each
    Schedule schedule;              ///< of the open loops
    bool replays_paths = false;     ///< a replay asks the log's own paths of the one server that is the target
    std::shared_ptr<const AccessLog> log;
    Reach reach;
    std::vector<Address> sources;
    std::unique_ptr<TlsClientContext> tls;  ///< null when nothing can need it
    std::string platform_os, platform_architecture, platform_variant;
    std::string url_lines;  ///< the fields of requests for URLs besides Host and Accept

    std::size_t nodes() const noexcept { return options.mode == Mode::storm ? options.storm_nodes : options.connections; }
    /// Whether a load that runs out of time left something undone. A closed loop that ends by the clock does not.
    bool counts_unfinished() const noexcept { return options.mode != Mode::closed || options.requests > 0; }
};

/// Reads files and asks the resolver. The error is one line.
Result<Plan, std::string> make_plan(const Options& options);

/// Request line and fields of a request for a URL, without the empty line.
std::string url_request(const Plan& plan, const Url& url, bool head);

}  // namespace entrepot::load
