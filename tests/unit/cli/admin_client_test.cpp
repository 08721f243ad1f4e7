#include "cli/admin_client.h"

#include "cli/api.h"
#include "scratch.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

using namespace entrepot;
using namespace entrepot::cli;

namespace {

/// A listener that reads one request up to its end, says what it was told to say, and closes; once for each answer.
class ScriptedServer {
  public:
    explicit ScriptedServer(std::vector<std::string> answers) : path_(scratch_.path("admin.sock")), answers_(std::move(answers)) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path_.c_str());
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_, 8) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~ScriptedServer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    AdminClient client(Duration timeout = seconds(5)) const {
        return AdminClient({{.unix_path = path_}}, {.value = "the-token", .of_this_box = true}, timeout);
    }
    const std::vector<std::string>& requests() const { return requests_; }

  private:
    void serve() {
        for (const auto& answer : answers_) {
            const int connection = ::accept(listener_, nullptr, nullptr);
            if (connection < 0) return;
            requests_.push_back(read_request(connection));
            [[maybe_unused]] auto sent = ::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
            if (answer.empty()) ::usleep(300'000);  // the silent one
            ::close(connection);
        }
    }
    static std::string read_request(int connection) {
        std::string request;
        char space[4096];
        std::size_t wanted = std::string::npos;
        while (request.size() < wanted) {
            const auto got = ::recv(connection, space, sizeof space, 0);
            if (got <= 0) break;
            request.append(space, static_cast<std::size_t>(got));
            const auto head = request.find("\r\n\r\n");
            if (head == request.npos) continue;
            const auto length = request.find("Content-Length: ");
            wanted = head + 4 + (length == request.npos ? 0 : std::stoul(request.substr(length + 16)));
        }
        return request;
    }

    Scratch scratch_;
    std::string path_;
    std::vector<std::string> answers_;
    std::vector<std::string> requests_;
    int listener_ = -1;
    std::thread thread_;
};

std::string answer_of(const std::string& status, const std::string& body, const std::string& more = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\n" + more +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// What `entrepot cache show` would say of this answer.
std::string complaint_about(const std::string& answer, Duration timeout = seconds(5)) {
    ScriptedServer server({answer});
    auto client = server.client(timeout);
    auto document = Api(client).get("/api/v1/cache-rules/hub");
    return document ? "" : document.error().failure.text;
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("admin client: a request is one head, a condition and a body; over a socket this machine's own token stays here") {
    ScriptedServer server({answer_of("200 OK", "{\"name\":\"hub\"}", "ETag: \"e2\"\r\n"), "HTTP/1.1 204 No Content\r\n\r\n"});
    auto client = server.client();
    Api api(client);
    auto put =
        api.put("/api/v1/cache-rules/hub", Json{{"tagTtl", "5m"}}, Condition::unchanged("e1"), Query().flag("dryRun", true));
    REQUIRE(put.has_value());
    CHECK(text_at(*put, "name") == "hub");
    auto removed = api.remove("/api/v1/cache-rules/hub", {});
    REQUIRE(removed.has_value());
    CHECK(removed->is_null());
    const auto& request = server.requests()[0];
    CHECK(request.starts_with("PUT /api/v1/cache-rules/hub?dryRun=true HTTP/1.1\r\nHost: localhost\r\n"));
    CHECK(mentions(request, "\r\nIf-Match: \"e1\"\r\n"));
    CHECK(mentions(request, "\r\nContent-Type: application/json\r\n"));
    CHECK(mentions(request, "\r\nContent-Length: 15\r\n"));
    CHECK(request.ends_with("\r\n\r\n{\"tagTtl\":\"5m\"}"));
    CHECK(!mentions(request, "Authorization"));
    CHECK(server.requests()[1].starts_with("DELETE /api/v1/cache-rules/hub HTTP/1.1\r\n"));
    CHECK(!mentions(server.requests()[1], "If-"));
}

TEST_CASE("admin client: names are escaped in the target") {
    CHECK(resource_path("/api/v1/accounts", "a b/../c?d") == "/api/v1/accounts/a%20b%2F..%2Fc%3Fd");
    CHECK(Query().add("reference", "a/b:1&x=y").flag("probe", false).text == "reference=a%2Fb%3A1%26x%3Dy");
}

TEST_CASE("admin client: bodies in every framing, and interim answers before them") {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (const auto& answer :
         {head + "Content-Length: 2\r\n\r\n{}", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
          head + "Connection: close\r\n\r\n{}", "HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 2\r\n\r\n{}"})
        CHECK(complaint_about(answer) == "");
    std::string interim;
    for (int i = 0; i <= AdminClient::interim_answers_max; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
    CHECK(mentions(complaint_about(interim + head + "Content-Length: 2\r\n\r\n{}"), "does not answer as an entrepot does"));
}

TEST_CASE("admin client: whatever else answers there is one line that says so") {
    const std::pair<std::string, const char*> rows[] = {
        {"", "closed the connection without an answer"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as an entrepot does (no HTTP)"},
        {std::string("\x15\x03\x01\x00\x02\x02\x46", 7), "does not answer as an entrepot does (no HTTP)"},
        {"HTTP/1.1 200", "ended its answer early"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{}", "ended its answer early"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
         "ended its answer early"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n",
         "sends more than an answer may hold"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", "answers something else than JSON"},
        {answer_of("200 OK", "<html>"), "answers what is no sound JSON"},
        {answer_of("200 OK", std::string(100'000, '[')), "answers what is no sound JSON"},
        {answer_of("502 Bad Gateway", "<html>nginx</html>"), "answers 502"},
        {answer_of("404 Not Found", R"({"status":404,"message":"there is no such page"})"), "answers 404 (no such page)"},
    };
    for (const auto& [answer, message] : rows) {
        const auto text = complaint_about(answer);
        CHECK_MESSAGE(mentions(text, message), text);
        CHECK(!mentions(text, "\n"));
        CHECK(mentions(text, "admin.sock"));
    }
}

TEST_CASE("admin client: a refusal is the server's sentence and its code") {
    CHECK(complaint_about(
              answer_of("404 Not Found", R"({"error":{"code":"RuleNotFound","message":"there is no cache rule \"hub\""}})")) ==
          "there is no cache rule \"hub\" (RuleNotFound)");
    CHECK(
        complaint_about(answer_of("405 Method Not Allowed", R"({"status":405,"message":"this address answers GET and HEAD"})")) ==
        "this address answers GET and HEAD");
}

TEST_CASE("admin client: who does not answer in time is left") {
    ScriptedServer server({""});
    auto client = server.client(milliseconds(100));
    auto read = Api(client).get("/api/v1/status");
    REQUIRE(!read.has_value());
    CHECK(mentions(read.error().failure.text, "did not answer within"));
    CHECK(mentions(read.error().failure.text, "try again"));
}

TEST_CASE("admin client: after a lost change nobody claims to know") {
    ScriptedServer server({"HTTP/1.1 200"});
    auto client = server.client();
    auto change = Api(client).patch("/api/v1/cache-rules/hub", Json::object(), {});
    REQUIRE(!change.has_value());
    CHECK(mentions(change.error().failure.text, "whether the change was made is not known"));
}

TEST_CASE("admin client: a list is fetched page by page, by name, to its end") {
    ScriptedServer server(
        {answer_of("200 OK", R"({"value":[{"name":"a"},{"name":"b"}],"nextLink":"/api/v1/cache-rules?after=b&limit=1000"})"),
         answer_of("200 OK", R"({"value":[{"name":"c"}],"nextLink":null})")});
    auto client = server.client();
    auto rules = Api(client).list("/api/v1/cache-rules");
    REQUIRE(rules.has_value());
    CHECK(rules->size() == 3);
    CHECK(server.requests()[0].starts_with("GET /api/v1/cache-rules?limit=1000 HTTP/1.1"));
    CHECK(server.requests()[1].starts_with("GET /api/v1/cache-rules?limit=1000&after=b HTTP/1.1"));
}

TEST_CASE("admin client: a list that never ends is left") {
    const auto page = answer_of("200 OK", R"({"value":[{"name":"a"}],"nextLink":"/api/v1/cache-rules?after=a"})");
    ScriptedServer server({page, page, page});
    auto client = server.client();
    auto rules = Api(client).list("/api/v1/cache-rules");
    REQUIRE(!rules.has_value());
    CHECK(mentions(rules.error().failure.text, "does not go on"));
}

TEST_CASE("admin client: words that are no UTF-8 are refused before anybody is asked") {
    AdminClient client({{.unix_path = "/nowhere"}}, {}, seconds(1));
    auto answer = Api(client).put("/api/v1/cache-rules/hub", Json{{"sourceRepository", "\xff"}}, Condition::absent());
    REQUIRE(!answer.has_value());
    CHECK(answer.error().failure.status == status_misused);
}

TEST_CASE("admin client: when nobody answers, every place that was tried is named") {
    AdminClient client({{.unix_path = "/nowhere/admin.sock"}, {.host = "127.0.0.1", .port = 1}}, {}, seconds(1));
    auto answer = Api(client).get("/api/v1/status");
    REQUIRE(!answer.has_value());
    const auto& text = answer.error().failure.text;
    CHECK(mentions(text, "unix:/nowhere/admin.sock: No such file or directory; 127.0.0.1:1: Connection refused"));
    CHECK(mentions(text, "entrepot serve"));
}
