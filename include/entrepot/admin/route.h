#pragma once
// The table of the admin listener: each line is one method of one path. 404, 405 with its Allow field, the bounds of bodies and queries, who may ask, and the check of the
// published API description all follow from it.
//
// To add a handler:
//   1. Write it in a file of its own noun, src/admin/api_NOUN.cpp:       Task<ApiReply> show_thing(ApiCall& call) { ... co_return ApiReply::document(json); }
//   2. Declare it in src/admin/handlers.h:                                Task<ApiReply> show_thing(ApiCall& call);
//   3. Add its line to the table in src/admin/routes.cpp:                 {Method::get, "/api/v1/things/{name}", Access::read, "", 0, show_thing},
//   4. Put the file into src/admin/meson.build, and its test beside it.
// HEAD follows from GET. What a handler works with (the cache, the operator's state) it finds in `call.context`; a test that needs none leaves it null there.
//
// A handler runs on shard 0's loop, may wait, and never throws: use ApiFields on the body, not nlohmann's get<>(). Before it is called the router has checked the Host, the
// right to ask, the query's names, and the body's type, size, syntax and depth. Several calls run at the same time.

#include "entrepot/admin/api_query.h"
#include "entrepot/admin/api_reply.h"
#include "entrepot/http/method.h"
#include "entrepot/io/task.h"
#include "entrepot/net/peer.h"

#include <span>

namespace entrepot {

struct AdminContext;

struct ApiCall {
    AdminContext& context;
    Method method;     ///< as in the table: a HEAD comes as get, and its body is not sent
    std::string name;  ///< what stands in the place of {name}, decoded; never empty there
    ApiQuery query;
    nlohmann::json body;        ///< an object; null where the route takes none
    std::string if_match;       ///< empty, `*`, or one strong entity tag with its quotes
    std::string if_none_match;  ///< the same for changes; for a GET the router compares it with the reply's tag by itself
    Peer peer;                  ///< who asks

    /// Is If-Match absent, `*`, or this tag (given without quotes)?
    bool if_match_holds(std::string_view etag) const noexcept;
};

/// Who may ask.
enum class Access : std::uint8_t {
    anybody,  ///< health for probes
    read,     ///< on the machine itself anybody, from elsewhere with the admin token
    change,   ///< with the admin token, or over the Unix socket as root, the server's user or a member of the socket's group
};

using ApiHandler = Task<ApiReply> (*)(ApiCall&);

struct AdminRoute {
    Method method;
    std::string_view path;  ///< literal segments, of which one may be {name}
    Access access;
    std::string_view query;      ///< names of its parameters, separated by blanks
    std::size_t body_bytes_max;  ///< 0: takes no body
    ApiHandler handler;
};

/// Bodies of one object. Larger ones (many objects at once) are read by few callers at a time, and parsed off the shard.
constexpr std::size_t api_body_bytes_max = 64 * 1024;

/// The whole table.
std::span<const AdminRoute> admin_routes() noexcept;

}  // namespace entrepot
