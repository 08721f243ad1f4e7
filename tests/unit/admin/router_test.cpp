#include "admin/router.h"

#include <doctest/doctest.h>

#include <set>

namespace entrepot {
namespace {

Task<ApiReply> nobody(ApiCall&) { co_return ApiReply::nothing(); }

constexpr AdminRoute routes[] = {
    {Method::get, "/healthz", Access::anybody, "", 0, nobody},
    {Method::get, "/api/things", Access::read, "", 0, nobody},
    {Method::get, "/api/things/{name}", Access::read, "", 0, nobody},
    {Method::put, "/api/things/{name}", Access::change, "", 9, nobody},
    {Method::del, "/api/things/{name}", Access::change, "", 0, nobody},
    {Method::post, "/api/things/{name}/check", Access::change, "", 0, nobody},
    {Method::post, "/api/things/all", Access::change, "", 0, nobody},
};

}  // namespace

TEST_CASE("router: a path and a method are one line of the table, another method is told which there are") {
    struct Row {
        Method method;
        const char* path;
        int line;
        const char *name, *allow;
    };
    for (auto& row : {
             Row{Method::get, "/healthz", 0, "", "GET, HEAD"},
             Row{Method::head, "/healthz", 0, "", "GET, HEAD"},
             Row{Method::post, "/healthz", -1, "", "GET, HEAD"},
             Row{Method::options, "/healthz", -1, "", "GET, HEAD"},
             Row{Method::get, "/healthz/", -1, "", ""},
             Row{Method::get, "/", -1, "", ""},
             Row{Method::get, "/api/things", 1, "", "GET, HEAD"},
             Row{Method::get, "/api/things/", -1, "", ""},
             Row{Method::get, "/api/things/a", 2, "a", "GET, HEAD, PUT, DELETE"},
             Row{Method::head, "/api/things/a%2Fb", 2, "a%2Fb", "GET, HEAD, PUT, DELETE"},
             Row{Method::put, "/api/things/a", 3, "a", "GET, HEAD, PUT, DELETE"},
             Row{Method::del, "/api/things/a", 4, "a", "GET, HEAD, PUT, DELETE"},
             Row{Method::patch, "/api/things/a", -1, "", "GET, HEAD, PUT, DELETE"},
             Row{Method::get, "/api/things/a/b", -1, "", ""},
             Row{Method::post, "/api/things/a/check", 5, "a", "POST"},
             Row{Method::post, "/api/things//check", -1, "", ""},
             Row{Method::post, "/api/things/check", -1, "", "GET, HEAD, PUT, DELETE"},
             Row{Method::get, "/api/things/a/check", -1, "", "POST"},
             Row{Method::post, "/api/things/all", 6, "", "POST"},
             Row{Method::get, "/api/things/all", -1, "", "POST"},
             Row{Method::get, "/API/things", -1, "", ""},
         }) {
        CAPTURE(row.path);
        auto found = find_route(routes, row.method, row.path);
        CHECK(found.route == (row.line < 0 ? nullptr : &routes[row.line]));
        CHECK(found.allow == row.allow);
        if (row.line >= 0) CHECK(found.name == row.name);
    }
}

TEST_CASE("router: the table of the server has each method of a path once, and what changes something is no GET") {
    std::set<std::string> seen;
    for (auto& route : admin_routes()) {
        CAPTURE(route.path);
        CHECK(seen.insert(std::string(name_of(route.method)) + " " + std::string(route.path)).second);
        CHECK(route.path.starts_with('/'));
        CHECK(static_cast<bool>(route.handler));
        if (route.method == Method::get) {
            CHECK(route.access != Access::change);
            CHECK(route.body_bytes_max == 0);
        }
        bool closing_brace_follows = route.path.find('{') == route.path.npos || route.path.find("{name}") == route.path.find('{');
        CHECK(closing_brace_follows);
    }
}

}  // namespace entrepot
