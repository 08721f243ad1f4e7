// Upstreams over TLS: verification is always on, and a refusal names its reason.

#include "upstream/upstream_box.h"

#include "entrepot/net/listener.h"
#include "entrepot/net/plain_stream.h"
#include "entrepot/net/tls.h"
#include "support/certificates.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

using Plan = UpstreamBox::Plan;

TestAuthority& authority() {
    static TestAuthority one;
    return one;
}

/// A registry over TLS on the box's own loop: answers every request of a connection with the next answer.
class TlsRegistry {
  public:
    TlsRegistry(TestLoop& loop, const CertificateWish& wish) : loop_(loop) {
        auto files = authority().issue(wish);
        auto context = TlsServerContext::load(files.certificate, files.key);
        if (!context) FAIL(context.error());
        context_ = std::move(*context);
        auto listener = Listener::open(*Address::parse("127.0.0.1", 0));
        if (!listener) FAIL(listener.error());
        listener_ = std::move(*listener);
    }
    ~TlsRegistry() {
        listener_->stop();
        for (auto* stream : open_) stream->interrupt();
        loop_.run(wait());
        loop_.run(listener_->close());
    }
    void start() { tasks_.start(accept()); }
    std::string url(const std::string& host) const { return fmt::format("https://{}:{}", host, listener_->address().port()); }

    std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblob";
    bool cut = false;  // FIN without close_notify after the answer
    std::vector<std::string> requests;
    int connections = 0;

  private:
    Task<void> wait() { co_await tasks_.close(); }

    Task<void> accept() {
        for (;;) {
            int socket = co_await listener_->accept();
            if (socket < 0) co_return;
            ++connections;
            auto plain = make_client_stream(socket, Address());
            tasks_.start(serve(std::move(plain)));
        }
    }

    Task<void> serve(std::unique_ptr<Stream> plain) {
        auto* below = plain.get();
        auto secured = co_await accept_tls(std::move(plain), *context_, now() + 10s);
        if (!secured) co_return;
        auto stream = *std::move(secured);
        open_.push_back(stream.get());
        std::string received;
        for (;;) {
            auto chunk = co_await stream->receive(now() + 30s);
            if (!chunk || chunk->empty()) break;
            received += text_of(chunk->bytes());
            chunk->release();
            if (!received.ends_with("\r\n\r\n")) continue;
            requests.push_back(std::exchange(received, {}));
            auto sent = co_await stream->send(bytes_of(answer), {}, false, now() + 10s);
            if (cut) below->interrupt();
            if (!sent || cut) break;
        }
        std::erase(open_, stream.get());
        co_await stream->close(CloseHow::orderly);
    }

    TestLoop& loop_;
    std::unique_ptr<TlsServerContext> context_;
    std::unique_ptr<Listener> listener_;
    std::vector<Stream*> open_;
    TaskGroup tasks_;
};

CertificateWish good_wish() {
    CertificateWish wish;
    wish.common_name = "localhost";
    wish.dns_names = {"localhost"};
    wish.addresses = {std::string("\x7f\0\0\x01", 4)};
    return wish;
}

/// One ask to a registry with such a certificate; the upstream trusts `ca_file`.
Exchanged ask_over_tls(const CertificateWish& wish, const std::string& ca_file, const std::string& host = "localhost",
                       std::size_t* requests = nullptr) {
    TestLoop loop;
    TlsRegistry registry(loop, wish);
    registry.start();
    Lanes lanes;
    UpstreamSpec spec;
    spec.login_server = "registry.test";
    spec.endpoints = {registry.url(host)};
    spec.ca_file = ca_file;
    spec.allow_private = true;
    auto table = UpstreamTable::make({spec}, {});
    if (!table) FAIL(table.error());
    auto upstreams = Upstreams::make(**table);
    UpstreamRequest request;
    request.upstream = &(*table)->at(0);
    request.repository = "lab/app";
    request.resource = "blobs/sha256:00";
    Exchanged result;
    auto answer = loop.run(upstreams->ask(std::move(request)));
    if (!answer) {
        result.failure = answer.error();
    } else {
        auto exchange = *std::move(answer);
        result.status = exchange->status();
        std::vector<std::byte> piece(100);
        auto got = loop.run(exchange->read(piece));
        if (got) result.body = text_of(Bytes(piece).first(*got));
        loop.run(exchange->finish());
    }
    if (requests) *requests = registry.requests.size();
    loop.run(upstreams->close());
    return result;
}

}  // namespace

TEST_CASE("tls upstream: a registry with a certificate of the private CA is trusted, by name and by address") {
    CHECK(ask_over_tls(good_wish(), authority().ca_file()).body == "blob");
    CHECK(ask_over_tls(good_wish(), authority().ca_file(), "127.0.0.1").body == "blob");
}

TEST_CASE("tls upstream: what is wrong with a certificate is told, and nothing is sent") {
    static TestAuthority stranger;
    auto wrong_name = good_wish();
    wrong_name.common_name = "other.test";
    wrong_name.dns_names = {"other.test"};
    wrong_name.addresses = {};
    auto expired = good_wish();
    expired.to = "20210101000000";
    auto not_yet = good_wish();
    not_yet.from = "20480101000000";
    auto self_signed = good_wish();
    self_signed.self_signed = true;
    struct Row {
        const char* name;
        CertificateWish wish;
        std::string ca_file;
        const char* why;
    };
    const Row rows[] = {{"wrong name", wrong_name, authority().ca_file(), "other.test"},
                        {"expired", expired, authority().ca_file(), "expired"},
                        {"not yet", not_yet, authority().ca_file(), "clock"},
                        {"unknown CA", good_wish(), stranger.ca_file(), "not trusted"},
                        {"self-signed", self_signed, authority().ca_file(), "trusted"}};
    for (auto& row : rows) {
        CAPTURE(std::string(row.name));
        std::size_t requests = 0;
        auto answer = ask_over_tls(row.wish, row.ca_file, "localhost", &requests);
        CHECK(answer.code() == Code::tls_certificate);
        CHECK(answer.why().find("is not trusted: ") != std::string::npos);
        CHECK(answer.why().find(row.why) != std::string::npos);
        CHECK(requests == 0);
    }
}

TEST_CASE("tls upstream: a server that speaks no TLS is a failed handshake") {
    TestLoop loop;
    auto listener = Listener::open(*Address::parse("127.0.0.1", 0));
    REQUIRE(listener);
    UpstreamSpec spec;
    spec.login_server = "plain.test";
    spec.endpoints = {fmt::format("https://127.0.0.1:{}", (*listener)->address().port())};
    spec.ca_file = authority().ca_file();
    spec.allow_private = true;
    auto table = UpstreamTable::make({spec}, {});
    REQUIRE(table);
    auto upstreams = Upstreams::make(**table);
    UpstreamRequest request;
    request.upstream = &(*table)->at(0);
    request.repository = "lab/app";
    request.resource = "blobs/sha256:00";
    auto asking = upstreams->ask(request);
    int socket = loop.run((*listener)->accept());
    auto plain = make_client_stream(socket, Address());
    CHECK(loop.run(plain->send(bytes_of("SSH-2.0-OpenSSH_9.2\r\n"), {}, false, now() + 5s)));
    auto answer = loop.run(std::move(asking));
    REQUIRE(!answer);
    CHECK(answer.error().error.code == Code::tls_handshake);
    CHECK(answer.error().why.find("does not speak TLS") != std::string::npos);
    loop.run(plain->close(CloseHow::abort));
    loop.run(upstreams->close());
    (*listener)->stop();
    loop.run((*listener)->close());
}

TEST_CASE("tls upstream: connections are used again, and a redirect to plain http is refused") {
    UpstreamBox box(Plan{.endpoints = {"http://127.0.0.1:1"}});
    TestLoop& loop = box.loop;
    ScriptedServer trap;
    TlsRegistry registry(loop, good_wish());
    registry.start();
    UpstreamSpec spec;
    spec.login_server = "secure.test";
    spec.endpoints = {registry.url("localhost")};
    spec.ca_file = authority().ca_file();
    spec.allow_private = true;
    auto table = UpstreamTable::make({spec}, {});
    REQUIRE(table);
    auto upstreams = Upstreams::make(**table);
    UpstreamRequest request;
    request.upstream = &(*table)->at(0);
    request.repository = "lab/app";
    request.resource = "blobs/sha256:00";
    for (int i = 0; i < 3; ++i) {
        auto answer = loop.run(upstreams->ask(request));
        REQUIRE(answer);
        std::vector<std::byte> piece(100);
        auto got = loop.run((*answer)->read(piece));
        REQUIRE(got);
        CHECK(*got == 4);
        loop.run((*answer)->finish());
    }
    CHECK(registry.connections == 1);

    registry.answer = fmt::format("HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: {}\r\n\r\n", trap.url("/x"));
    auto downgraded = loop.run(upstreams->ask(request));
    REQUIRE(!downgraded);
    CHECK(downgraded.error().error.fault == Fault::policy);
    CHECK(downgraded.error().why.find("not secure") != std::string::npos);

    registry.answer =
        fmt::format("HTTP/1.1 401 X\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer realm=\"{}\"\r\n\r\n", trap.url("/token"));
    auto plain_realm = loop.run(upstreams->ask(request));
    REQUIRE(!plain_realm);
    CHECK(plain_realm.error().error.code == Code::unauthorized);
    CHECK(plain_realm.error().why.find("not secure") != std::string::npos);
    CHECK(trap.accepts() == 0);
    loop.run(upstreams->close());
}

TEST_CASE("tls upstream: a cut connection is no end of a body") {
    UpstreamBox box(Plan{.endpoints = {"http://127.0.0.1:1"}});
    TestLoop& loop = box.loop;
    TlsRegistry registry(loop, good_wish());
    registry.answer = "HTTP/1.1 200 OK\r\n\r\nhalf of a bo";  // ends with the connection
    registry.cut = true;
    registry.start();
    UpstreamSpec spec;
    spec.login_server = "secure.test";
    spec.endpoints = {registry.url("localhost")};
    spec.ca_file = authority().ca_file();
    spec.allow_private = true;
    auto table = UpstreamTable::make({spec}, {});
    REQUIRE(table);
    auto upstreams = Upstreams::make(**table);
    UpstreamRequest request;
    request.upstream = &(*table)->at(0);
    request.repository = "lab/app";
    request.resource = "blobs/sha256:00";
    auto answer = loop.run(upstreams->ask(request));
    REQUIRE(answer);
    std::optional<Error> error;
    for (std::size_t total = 0; !error;) {
        std::vector<std::byte> piece(100);
        auto got = loop.run((*answer)->read(piece));
        if (!got) error = got.error();
        else total += *got;
        if (got && *got == 0) break;
    }
    REQUIRE(error);
    CHECK(error->code == Code::reset);
    loop.run((*answer)->finish());
    loop.run(upstreams->close());
}
