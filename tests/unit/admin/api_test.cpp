// What the router does around a handler, over real connections and with a table of its own.
#include "entrepot/admin/admin.h"
#include "entrepot/io/blocking.h"

#include "support/raw_client.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace entrepot {
namespace {

constexpr std::size_t large_body_bytes_max = 300'000;

/// What a handler was called with.
Task<ApiReply> echo(ApiCall& call) {
    nlohmann::json seen;
    seen["method"] = name_of(call.method);
    seen["name"] = call.name;
    seen["body"] = call.body.size() < 100 ? call.body : nlohmann::json(call.body.size());
    seen["ifMatch"] = call.if_match;
    seen["ifNoneMatch"] = call.if_none_match;
    if (auto* a = call.query.find("a")) seen["a"] = *a;
    co_return std::move(ApiReply::document(seen).with_etag("v7").with("X-More", "here").with("X-Bad", "a\r\nb: c"));
}
Task<ApiReply> refuse(ApiCall& call) { co_return ApiError(409, "Taken", "'" + call.name + "' is taken"); }
Task<ApiReply> remove(ApiCall&) { co_return ApiReply::nothing(); }

constexpr AdminRoute table[] = {
    {Method::get, "/things/{name}", Access::read, "a b", 0, echo},
    {Method::put, "/things/{name}", Access::change, "a", 100, echo},
    {Method::patch, "/things/{name}", Access::change, "", 100, refuse},
    {Method::del, "/things/{name}", Access::change, "", 0, remove},
    {Method::post, "/ask", Access::read, "", 100, echo},
    {Method::post, "/many", Access::change, "", large_body_bytes_max, echo},
};

struct Lanes {
    Lanes() { start_lanes(); }
    ~Lanes() { stop_lanes(); }
};

struct ApiBox {
    ApiBox() {
        REQUIRE(::mkdtemp(directory.data()) != nullptr);
        token.emplace(directory);
        loop.run(token->prepare());
        std::string text;
        std::ifstream(directory + "/admin.token") >> text;
        bearer = "Authorization: Bearer " + text + "\r\n";
        admin.emplace(AdminContext{.token = &*token}, table);
        port.emplace(loop, *admin);
    }
    ~ApiBox() {
        port.reset();
        token.reset();
        std::filesystem::remove_all(directory);
    }
    /// A request with a body of JSON, with the right to change things.
    Answer ask(RawClient& client, const std::string& line, const std::string& body,
               std::string fields = "Content-Type: application/json\r\n") {
        client.write(line + " HTTP/1.1\r\nHost: localhost\r\n" + bearer + fields +
                     "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
        return client.read();
    }

    Lanes lanes;
    TestLoop loop;
    std::string directory = "/tmp/api-XXXXXX", bearer;
    std::optional<AdminToken> token;
    std::optional<Admin> admin;
    std::optional<ServedPort> port;
};

nlohmann::json document(const Answer& answer) {
    auto json = nlohmann::json::parse(answer.body, nullptr, false);
    REQUIRE(json.is_object());
    return json;
}
std::string code(const Answer& answer) { return document(answer)["error"]["code"]; }

}  // namespace

TEST_CASE("api: a handler gets the name, the query and the body, and its answer gets what goes around it") {
    ApiBox box;
    RawClient client(box.loop, *box.port);
    auto answer = box.ask(client, "PUT /things/a%20b?a=%C3%A4", R"({"x":[1]})",
                          "Content-Type: Application/JSON ; charset=\"utf-8\"\r\nIf-Match: \"v6\"\r\nIf-None-Match: *\r\n");
    CHECK(answer.status == 200);
    auto seen = document(answer);
    CHECK(seen["method"] == "PUT");
    CHECK(seen["name"] == "a b");
    CHECK(seen["a"] == "ä");
    CHECK(seen["body"] == nlohmann::json::parse(R"({"x":[1]})"));
    CHECK(seen["ifMatch"] == "\"v6\"");
    CHECK(seen["ifNoneMatch"] == "*");
    CHECK(answer.field("Content-Type") == "application/json");
    CHECK(answer.field("ETag") == "\"v7\"");
    CHECK(answer.field("X-More") == "here");
    CHECK(answer.field("X-Bad").empty());
    CHECK(answer.field("X-Content-Type-Options") == "nosniff");
    CHECK(answer.field("Cache-Control") == "no-store");
    CHECK(answer.field("Connection").empty());
    answer = box.ask(client, "PATCH /things/a", "{}", "Content-Type: application/merge-patch+json\r\n");
    CHECK(answer.status == 409);
    CHECK(document(answer)["error"]["message"] == "'a' is taken");
    client.write("DELETE /things/a HTTP/1.1\r\nHost: localhost\r\n" + box.bearer + "\r\n");
    answer = client.read(true);
    CHECK(answer.status == 204);
    CHECK(answer.field("Content-Length").empty());
    CHECK(client.ask("HEAD /things/a").status == 200);
    CHECK(document(client.ask("GET /things/a?b=1"))["method"] == "GET");
}

TEST_CASE("api: a body must be one JSON object within the bound; a connection whose body was read goes on") {
    ApiBox box;
    const std::string json = "Content-Type: application/json\r\n";
    struct Row {
        std::string body, fields;
        int status;
        std::string code;
        bool goes_on;
    };
    for (auto& row : {Row{"", json, 400, "BodyMissing", true}, Row{"{}", "", 415, "NotJson", false},
                      Row{"{}", "Content-Type: text/plain\r\n", 415, "NotJson", false},
                      Row{"{}", "Content-Type: application/json; charset=latin1\r\n", 415, "NotJson", false},
                      Row{"{}", "Content-Type: application/json5\r\n", 415, "NotJson", false},
                      Row{"{}", "Content-Type: application/merge-patch+json\r\n", 415, "NotJson", false},
                      Row{"[]", json, 400, "BodyInvalid", true}, Row{"null", json, 400, "BodyInvalid", true},
                      Row{"{", json, 400, "BodyInvalid", true}, Row{"{\"a\":1,\"a\":2}", json, 400, "BodyInvalid", true},
                      Row{"{\"a\":\"\xff\"}", json, 400, "BodyInvalid", true},
                      Row{"{\"a\":\"" + std::string(92, 'x') + "\"}", json, 200, "", true},
                      Row{"{\"a\":\"" + std::string(93, 'x') + "\"}", json, 413, "BodyTooLarge", false}}) {
        CAPTURE(row.body);
        CAPTURE(row.fields);
        RawClient client(box.loop, *box.port);
        auto answer = box.ask(client, "PUT /things/a", row.body, row.fields);
        CHECK(answer.status == row.status);
        if (!row.code.empty()) CHECK(code(answer) == row.code);
        CHECK(answer.field("Connection") == (row.goes_on ? "" : "close"));
        if (row.goes_on) CHECK(client.ask("GET /things/a").status == 200);
        else CHECK(client.at_end());
    }
    RawClient client(box.loop, *box.port);
    client.write(
        "PUT /things/a HTTP/1.1\r\nHost: localhost\r\n" + box.bearer + json +
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\nGET /things/b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(document(client.read())["method"] == "PUT");
    CHECK(document(client.read())["name"] == "b");
    CHECK(box.ask(client, "DELETE /things/a", "{}").status == 400);
}

TEST_CASE("api: what a path does not do, take or know is refused by name") {
    ApiBox box;
    RawClient client(box.loop, *box.port);
    auto answer = client.ask("POST /things/a");
    CHECK(answer.status == 405);
    CHECK(answer.field("Allow") == "GET, HEAD, PUT, PATCH, DELETE");
    CHECK(code(answer) == "MethodNotAllowed");
    CHECK(client.ask("GET /things").status == 404);
    CHECK(client.ask("GET /things/a/b").status == 404);
    CHECK(code(client.ask("GET /things/a?dryRun=true")) == "QueryInvalid");
    CHECK(code(client.ask("GET /things/a?a=1&a=1")) == "QueryInvalid");
    CHECK(client.ask("GET /things/a?a=1&b=1").status == 200);
}

TEST_CASE("api: entity tags are one, or a star; a GET that has the newest is told so") {
    ApiBox box;
    for (auto tags : {"\"a\", \"b\"", "W/\"a\"", "a", "\"a", "\"a\"\r\nIf-Match: \"a\"", "**", "\"a b\""}) {
        CAPTURE(tags);
        RawClient client(box.loop, *box.port);
        auto answer =
            box.ask(client, "PUT /things/a", "{}", std::string("Content-Type: application/json\r\nIf-Match: ") + tags + "\r\n");
        CHECK(answer.status == 400);
        CHECK(code(answer) == "PreconditionInvalid");
        CHECK(client.at_end());  // its body was not read
    }
    for (auto tags : {"\"v7\"", "\"other\"", "*, \"other\"", "W/\"v7\""}) {
        CAPTURE(tags);
        RawClient client(box.loop, *box.port);
        auto answer = box.ask(client, "PUT /things/a", "{}",
                              std::string("Content-Type: application/json\r\nIf-None-Match: ") + tags + "\r\n");
        CHECK(answer.status == 400);
        CHECK(code(answer) == "PreconditionInvalid");
    }
    RawClient client(box.loop, *box.port);
    auto answer = client.ask("GET /things/a", "If-None-Match: \"v6\", \"v7\"\r\n");
    CHECK(answer.status == 304);
    CHECK(answer.field("ETag") == "\"v7\"");
    CHECK(client.ask("GET /things/a", "If-None-Match: \"v6\"\r\n").status == 200);
    CHECK(client.ask("GET /things/a", "If-None-Match: *\r\n").status == 304);
}

TEST_CASE("api: nothing is read from and nothing happens for who may not") {
    ApiBox box;
    RawClient client(box.loop, *box.port);
    client.write(
        "PUT /things/a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n");
    auto answer = client.read();
    CHECK(answer.status == 401);  // and no 100 before it
    CHECK(answer.field("WWW-Authenticate") == "Bearer");
    CHECK(client.at_end());
    RawClient second(box.loop, *box.port);
    CHECK(second.ask("DELETE /things/a").status == 401);
    second.write("POST /ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    CHECK(second.read().status == 200);  // a question with a body is still a question
}

TEST_CASE("api: bodies of many objects are parsed aside, and only two are taken at a time") {
    ApiBox box;
    std::string body = "{\"x\":\"" + std::string(large_body_bytes_max - 8, 'x') + "\"}";
    REQUIRE(body.size() == large_body_bytes_max);
    RawClient client(box.loop, *box.port);
    CHECK(box.ask(client, "POST /many", body).status == 200);
    CHECK(code(box.ask(client, "POST /many", body.substr(0, body.size() - 1))) == "BodyInvalid");
    // Two that hold their places; the third waits until one of them has ended.
    auto begin = [&](RawClient& one) {
        one.write("POST /many HTTP/1.1\r\nHost: localhost\r\n" + box.bearer +
                  "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{");
        box.loop.run_for(milliseconds(10));
    };
    RawClient first(box.loop, *box.port), second(box.loop, *box.port), third(box.loop, *box.port);
    begin(first);
    begin(second);
    third.write("POST /many HTTP/1.1\r\nHost: localhost\r\n" + box.bearer +
                "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    box.loop.run_for(milliseconds(30));
    CHECK(client.ask("GET /things/a").status == 200);  // nobody else waits
    first.write("}");
    CHECK(first.read().status == 200);
    CHECK(third.read(true).status == 100);
    third.write("{}");
    CHECK(third.read().status == 200);
    second.leave(CloseHow::abort);
    CHECK(box.ask(client, "POST /many", "{}").status == 200);
}

TEST_CASE("api: the errors of the server itself have the same form") {
    ApiBox box;
    for (auto& [request, status] : {std::pair("nonsense\r\n\r\n", 400), std::pair("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
                                    std::pair("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501)}) {
        RawClient client(box.loop, *box.port);
        client.write(request);
        auto answer = client.read();
        CHECK(answer.status == status);
        CHECK_FALSE(code(answer).empty());
    }
}

}  // namespace entrepot
