#include "entrepot/net/tls.h"

#include "support/certificates.h"
#include "support/loopback.h"

#include <doctest/doctest.h>

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

/// One authority for all cases: making keys takes longer than most of them.
TestAuthority& authority() {
    static TestAuthority one;
    return one;
}

const TlsServerContext& server_for(const CertificateWish& wish) {
    static std::vector<std::unique_ptr<TlsServerContext>> loaded;
    auto files = authority().issue(wish);
    auto context = TlsServerContext::load(files.certificate, files.key);
    if (!context) FAIL(context.error());
    loaded.push_back(std::move(*context));
    return *loaded.back();
}

const TlsServerContext& good_server() {
    static const TlsServerContext& one = []() -> const TlsServerContext& {
        CertificateWish wish;
        wish.dns_names = {"registry.test", "*.wild.test"};
        wish.addresses = {std::string("\x7f\0\0\x01", 4), std::string(15, '\0') + '\x01'};
        return server_for(wish);
    }();
    return one;
}

const TlsClientContext& trusting_client() {
    static auto context = TlsClientContext::load(authority().ca_file());
    if (!context) FAIL(context.error());
    return **context;
}

/// Both ends of a handshake, run to their ends.
struct Handshake {
    Handshake(TestLoop& test_loop, const TlsServerContext& server_context, const TlsClientContext& client_context,
              const std::string& name)
        : loop(test_loop), pair(test_loop) {
        auto accepting = accept_tls(std::move(pair.server), server_context, soon());
        auto connecting = connect_tls(std::move(pair.client), client_context, name, soon(), why);
        auto connected = loop.run(std::move(connecting));
        if (connected) client = std::move(*connected);
        else client_error = connected.error();
        auto accepted = loop.run(std::move(accepting));
        if (accepted) server = std::move(*accepted);
        else server_error = accepted.error();
    }
    explicit Handshake(TestLoop& test_loop) : Handshake(test_loop, good_server(), trusting_client(), "registry.test") {
        REQUIRE(client);
        REQUIRE(server);
    }
    ~Handshake() {
        for (auto* end : {&client, &server}) {
            if (*end) loop.run((*end)->close(CloseHow::orderly));
        }
    }
    void close(std::unique_ptr<Stream>& end, CloseHow how) {
        loop.run(end->close(how));
        end.reset();
    }

    TestLoop& loop;
    Loopback pair;
    std::string why;
    std::unique_ptr<Stream> client, server;
    Error client_error, server_error;
};

/// What the client says about a server with such a certificate; empty when it is content.
std::string verdict(const CertificateWish& wish, const std::string& name) {
    TestLoop loop;
    Handshake hands(loop, server_for(wish), trusting_client(), name);
    if (hands.client) {
        CHECK(hands.why == "");
        return "";
    }
    CHECK(hands.client_error == Error{Fault::upstream, Code::tls_certificate, 0});
    // The server learns of it: it never believes that this connection is good.
    CHECK(!hands.server);
    return hands.why;
}

CertificateWish named(std::vector<std::string> dns_names) {
    CertificateWish wish;
    wish.common_name = "nobody";
    wish.dns_names = std::move(dns_names);
    return wish;
}

/// Copies bytes from one plain stream to another until the first ends; `meddle` may change or cut them.
using Meddle = bool (*)(std::string& bytes, std::size_t position);
Task<void> relay(Stream& from, Stream& to, Meddle meddle) {
    std::size_t position = 0;
    for (;;) {
        auto deadline = soon();
        auto chunk = co_await from.receive(deadline);
        if (!chunk || chunk->empty()) co_return;
        std::string bytes(text_of(chunk->bytes()));
        chunk->release();
        bool goes_on = meddle(bytes, position);
        position += bytes.size();
        auto body = bytes_of(bytes);
        auto sent = co_await to.send(body, {}, false, deadline);
        if (!sent || !goes_on) co_return;
    }
}

bool leave_alone(std::string&, std::size_t) { return true; }

/// A TLS connection with somebody in between.
struct Intercepted {
    Intercepted(TestLoop& test_loop, Meddle towards_client) : loop(test_loop), near(test_loop), far(test_loop) {
        // client == near.client -- near.server == relay == far.client -- far.server == server
        relays.start(relay(*near.server, *far.client, &leave_alone));
        relays.start(relay_and_finish(*far.client, *near.server, towards_client));
        auto accepting = accept_tls(std::move(far.server), good_server(), soon());
        auto connected = loop.run(connect_tls(std::move(near.client), trusting_client(), "registry.test", soon(), why));
        REQUIRE(connected);
        client = std::move(*connected);
        auto accepted = loop.run(std::move(accepting));
        REQUIRE(accepted);
        server = std::move(*accepted);
    }
    /// Ends its way to the client with a bare FIN, as a middle box (or a server without manners) would.
    Task<void> relay_and_finish(Stream& from, Stream& to, Meddle meddle) {
        co_await relay(from, to, meddle);
        co_await to.close(CloseHow::linger);
        finished = true;
    }
    ~Intercepted() {
        for (auto* end : {&client, &server}) {
            if (*end) loop.run((*end)->close(CloseHow::abort));
        }
        loop.finish(relays);
        near.server.reset();
    }

    TestLoop& loop;
    Loopback near, far;
    TaskGroup relays;
    std::string why;
    bool finished = false;
    std::unique_ptr<Stream> client, server;
};

Error error_of(const Result<std::string>& result) {
    REQUIRE(!result);
    return result.error();
}

}  // namespace

TEST_CASE("tls: bytes pass both ways, and the peer's end is an empty chunk") {
    TestLoop loop;
    Handshake hands(loop);
    CHECK(hands.client->is_tls());
    CHECK(hands.server->is_tls());
    REQUIRE(loop.run(send_text(*hands.client, "question")));
    CHECK(*loop.run(read_all(*hands.server, 8)) == "question");
    auto head = std::string("head "), body = std::string("and body");
    REQUIRE(loop.run(hands.server->send(bytes_of(head), bytes_of(body), false, soon())));
    CHECK(*loop.run(read_all(*hands.client, 13)) == "head and body");
    hands.close(hands.server, CloseHow::orderly);
    CHECK(*loop.run(read_all(*hands.client)) == "");
    CHECK(*loop.run(read_all(*hands.client)) == "");
}

TEST_CASE("tls: 1 MiB passes each way at the same time") {
    TestLoop loop;
    Handshake hands(loop);
    auto up = patterned(1 * MiB, 1), down = patterned(1 * MiB, 2);
    auto reading_up = read_all(*hands.server, up.size());
    auto reading_down = read_all(*hands.client, down.size());
    auto sending_up = send_text(*hands.client, up);
    auto sending_down = send_text(*hands.server, down);
    CHECK((*loop.run(std::move(reading_up)) == up));
    CHECK((*loop.run(std::move(reading_down)) == down));
    CHECK(loop.run(std::move(sending_up)));
    CHECK(loop.run(std::move(sending_down)));
}

TEST_CASE("tls: receive_into fills the caller's memory with as many records as are here") {
    TestLoop loop;
    Handshake hands(loop);
    auto much = patterned(300'000);
    auto sending = send_text(*hands.server, much);
    std::string got;
    std::vector<std::byte> memory(100'000);
    while (got.size() < much.size()) {
        auto count = loop.run(hands.client->receive_into(memory, soon()));
        REQUIRE(count);
        REQUIRE(*count > 0);
        got += text_of(Bytes(memory).first(*count));
    }
    CHECK((got == much));
    CHECK(loop.run(std::move(sending)));
    REQUIRE(loop.run(send_text(*hands.server, "0123456789")));
    std::byte four[4];
    REQUIRE(loop.run(hands.client->until_readable(soon())));
    CHECK(*loop.run(hands.client->receive_into(four, soon())) == 4);
    // What was opened and not taken yet is readable, though nothing more comes from the peer.
    REQUIRE(loop.run(hands.client->until_readable(now())));
    CHECK(text_of(four) == "0123");
    CHECK(*loop.run(read_all(*hands.client, 6)) == "456789");
    auto in_vain = loop.run(hands.client->until_readable(now() + 20ms));
    REQUIRE(!in_vain);
    CHECK(in_vain.error().code == Code::timeout);
    hands.close(hands.server, CloseHow::orderly);
    REQUIRE(loop.run(hands.client->until_readable(soon())));
    CHECK(*loop.run(hands.client->receive_into(four, soon())) == 0);
}

TEST_CASE("tls: discarded bytes are counted and gone, and what follows them is whole") {
    TestLoop loop;
    Handshake hands(loop);
    auto sending = send_text(*hands.server, patterned(200'000) + "tail");
    std::size_t dropped = 0;
    while (dropped < 200'000) {
        auto got = loop.run(hands.client->discard(200'000 - dropped, soon()));
        REQUIRE(got);
        REQUIRE(*got > 0);
        dropped += *got;
    }
    CHECK(loop.run(std::move(sending)));
    CHECK(*loop.run(read_all(*hands.client, 4)) == "tail");
}

TEST_CASE("tls: who trusts anybody talks to a server that nobody else would") {
    TestLoop loop;
    auto anybody = TlsClientContext::trusting_anybody();
    Handshake hands(loop, server_for(named({"other.test"})), *anybody, "registry.test");
    REQUIRE(hands.client);
    REQUIRE(hands.server);
    REQUIRE(loop.run(send_text(*hands.server, "good day")));
    CHECK(*loop.run(read_all(*hands.client, 8)) == "good day");
}

TEST_CASE("tls: a file arrives as it is, and a short file is the disk's fault once what left of it was told") {
    TestLoop loop;
    Handshake hands(loop);
    auto content = patterned(1'000'000);
    char name[] = "/var/tmp/entrepot-test-XXXXXX";
    int file = ::mkstemp(name);
    REQUIRE(file >= 0);
    ::unlink(name);
    REQUIRE(::write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    auto reading = read_all(*hands.client, content.size() - 77);
    auto sent = loop.run(hands.server->send_file(file, 77, content.size(), soon()));
    REQUIRE(sent);
    CHECK(*sent == content.size() - 77);
    CHECK((*loop.run(std::move(reading)) == content.substr(77)));
    auto beyond = loop.run(hands.server->send_file(file, content.size(), 1, soon()));
    REQUIRE(!beyond);
    CHECK(beyond.error() == Error{Fault::storage, Code::corrupt, 0});
    ::close(file);
}

TEST_CASE("tls: a bare FIN is a reset, because a body may have been cut") {
    TestLoop loop;
    Intercepted middle(loop, [](std::string&, std::size_t position) { return position < 2000; });
    // The handshake's way to the client is shorter than 2,000 bytes: the first record of the answer is the last that passes.
    REQUIRE(loop.run(send_text(*middle.server, patterned(1500))));
    REQUIRE(loop.run(read_all(*middle.client, 1500)));
    auto sending = send_text(*middle.server, patterned(1500));
    auto got = loop.run(read_all(*middle.client));
    CHECK(error_of(got) == Error{Fault::upstream, Code::reset, ECONNRESET});
    CHECK(loop.run(std::move(sending)));
}

TEST_CASE("tls: a changed bit is a bad message, and nothing of it is delivered") {
    TestLoop loop;
    Intercepted middle(loop, [](std::string& bytes, std::size_t position) {
        if (position + bytes.size() > 4000) bytes.back() = static_cast<char>(bytes.back() ^ 1);
        return true;
    });
    REQUIRE(loop.run(send_text(*middle.server, patterned(200))));
    CHECK((*loop.run(read_all(*middle.client, 200)) == patterned(200)));
    auto sending = send_text(*middle.server, patterned(10'000));
    auto got = loop.run(read_all(*middle.client));
    CHECK(error_of(got) == Error{Fault::upstream, Code::bad_message, 0});
    CHECK(loop.run(std::move(sending)));
}

TEST_CASE("tls: an aborted connection is a reset at the peer") {
    TestLoop loop;
    Handshake hands(loop);
    REQUIRE(loop.run(send_text(*hands.server, "half")));
    CHECK(*loop.run(read_all(*hands.client, 4)) == "half");
    hands.close(hands.server, CloseHow::abort);
    CHECK(error_of(loop.run(read_all(*hands.client))).code == Code::reset);
}

TEST_CASE("tls: deadlines and interrupts end waits") {
    TestLoop loop;
    Handshake hands(loop);
    auto late = loop.run(hands.server->receive(now() + 20ms));
    REQUIRE(!late);
    CHECK(late.error() == Error{Fault::client, Code::timeout, ETIMEDOUT});
    REQUIRE(loop.run(send_text(*hands.client, "still here")));
    CHECK(*loop.run(read_all(*hands.server, 10)) == "still here");

    auto much = patterned(64 * MiB);
    auto stuck = loop.run(hands.server->send(bytes_of(much), {}, false, now() + 500ms));
    REQUIRE(!stuck);
    CHECK(stuck.error().code == Code::timeout);
    // Half a record is out: nothing can follow it.
    CHECK(!loop.run(send_text(*hands.server, "more")));

    auto reading = hands.server->receive(soon());
    loop.run_for(2ms);
    hands.server->interrupt();
    CHECK(loop.run(std::move(reading)).error().code == Code::reset);
}

TEST_CASE("tls: a handshake has a deadline on both sides") {
    TestLoop loop;
    Loopback pair(loop);
    auto accepted = loop.run(accept_tls(std::move(pair.server), good_server(), now() + 30ms));
    REQUIRE(!accepted);
    CHECK(accepted.error() == Error{Fault::client, Code::timeout, ETIMEDOUT});
    Loopback other(loop);
    std::string why;
    auto connected = loop.run(connect_tls(std::move(other.client), trusting_client(), "registry.test", now() + 30ms, why));
    REQUIRE(!connected);
    CHECK(connected.error() == Error{Fault::upstream, Code::timeout, ETIMEDOUT});
    CHECK(why == "the handshake took too long");
}

TEST_CASE("tls: plain HTTP on the TLS port ends the connection, with an alert at most") {
    TestLoop loop;
    Loopback pair(loop);
    REQUIRE(loop.run(send_text(*pair.client, "GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n\r\n")));
    auto accepting = accept_tls(std::move(pair.server), good_server(), soon());
    auto answer = loop.run(read_all(*pair.client));
    if (answer) CHECK(answer->size() <= 7);
    pair.close(pair.client, CloseHow::orderly);
    auto accepted = loop.run(std::move(accepting));
    REQUIRE(!accepted);
    CHECK(accepted.error() == Error{Fault::client, Code::tls_handshake, 0});
}

TEST_CASE("tls: a server that speaks no TLS is named as one") {
    TestLoop loop;
    Loopback pair(loop);
    std::string why;
    REQUIRE(loop.run(send_text(*pair.server, "HTTP/1.1 400 Bad Request\r\n\r\n")));
    auto connected = loop.run(connect_tls(std::move(pair.client), trusting_client(), "registry.test", soon(), why));
    REQUIRE(!connected);
    CHECK(connected.error() == Error{Fault::upstream, Code::tls_handshake, 0});
    CHECK(why == "the server does not speak TLS on this port");

    Loopback silent(loop);
    silent.close(silent.server, CloseHow::orderly);
    auto ended = loop.run(connect_tls(std::move(silent.client), trusting_client(), "registry.test", soon(), why));
    REQUIRE(!ended);
    CHECK(ended.error().code == Code::tls_handshake);
    CHECK(why == "the server closed the connection during the handshake");
}

TEST_CASE("tls: a server is accepted under its names, and under no other") {
    CHECK(verdict(named({"registry.test"}), "registry.test") == "");
    CHECK(verdict(named({"registry.test"}), "Registry.TEST.") == "");
    CHECK(verdict(named({"a.test", "registry.test"}), "registry.test") == "");
    CHECK(verdict(named({"*.test"}), "registry.test") == "");
    CHECK(verdict(named({"other.test"}), "registry.test") == "certificate is for other.test, not for registry.test");
    CHECK(verdict(named({"*.test"}), "two.levels.test") == "certificate is for *.test, not for two.levels.test");
    CHECK(verdict(named({"*.registry.test"}), "registry.test") == "certificate is for *.registry.test, not for registry.test");
    CHECK(verdict(named({"a", "b", "c", "d", "e"}), "registry.test") ==
          "certificate is for a, b, c and 2 more, not for registry.test");
    // Without the extension the common name counts, with it it does not.
    CertificateWish common;
    CHECK(verdict(common, "registry.test") == "");
    common.dns_names = {"other.test"};
    CHECK(verdict(common, "registry.test") == "certificate is for other.test, not for registry.test");
}

TEST_CASE("tls: an address is compared with the certificate's addresses alone") {
    auto with_address = named({});
    with_address.addresses = {std::string("\xc0\x00\x02\x07", 4), std::string(15, '\0') + '\x01'};
    CHECK(verdict(with_address, "192.0.2.7") == "");
    CHECK(verdict(with_address, "::1") == "");
    CHECK(verdict(with_address, "192.0.2.8") == "certificate is for 192.0.2.7, ::1, not for 192.0.2.8");
    CHECK(verdict(with_address, "::ffff:192.0.2.7") != "");
    CHECK(verdict(named({"192.0.2.7"}), "192.0.2.7") == "certificate is for 192.0.2.7, not for 192.0.2.7");
    CertificateWish common;
    common.common_name = "192.0.2.7";
    CHECK(verdict(common, "192.0.2.7") != "");
    auto malformed = named({});
    malformed.addresses = {"abc"};
    CHECK(verdict(malformed, "97.98.99.0") == "certificate is for a malformed address, not for 97.98.99.0");
}

TEST_CASE("tls: a certificate is accepted only in its time, and the text names the clock") {
    auto expired = named({"registry.test"});
    expired.to = "20210203040506";
    CHECK(verdict(expired, "registry.test") == "certificate expired on 2021-02-03 (check this machine's clock too)");
    auto future = named({"registry.test"});
    future.from = "20480203040506";
    CHECK(verdict(future, "registry.test") == "certificate is not valid before 2048-02-03 (check this machine's clock too)");
    auto both = named({"other.test"});
    both.to = "20210203040506";
    CHECK(
        verdict(both, "registry.test") ==
        "certificate is for other.test, not for registry.test; certificate expired on 2021-02-03 (check this machine's clock too)");
}

TEST_CASE("tls: a certificate of an unknown issuer is refused") {
    auto own = named({"registry.test"});
    own.self_signed = true;
    own.common_name = "registry.test";
    CHECK(verdict(own, "registry.test") == "issuer is not trusted (the certificate is self-signed)");

    TestAuthority stranger;
    auto files = stranger.issue(named({"registry.test"}));
    auto context = TlsServerContext::load(files.certificate, files.key);
    REQUIRE(context);
    TestLoop loop;
    Handshake hands(loop, **context, trusting_client(), "registry.test");
    CHECK(!hands.client);
    CHECK(hands.client_error.code == Code::tls_certificate);
    CHECK(hands.why == "issuer is not trusted");
}

TEST_CASE("tls: a trusted issuer's certificate is refused when it is weak or a trick") {
    auto weak = named({"registry.test"});
    weak.rsa_bits = 1024;
    CHECK(verdict(weak, "registry.test") == "a key in the certificate chain is too weak");
    auto old_hash = named({"registry.test"});
    old_hash.sha1 = true;
    CHECK(verdict(old_hash, "registry.test") == "a certificate is signed with a hash that is too weak");
    auto trick = named({std::string("registry.test\0.evil.test", 23)});
    CHECK(verdict(trick, "registry.test").starts_with("certificate holds a name with a NUL byte"));
    auto hidden = named({"registry.test", std::string("x\0y", 3)});
    CHECK(verdict(hidden, "registry.test") == "certificate holds a name with a NUL byte");
}

TEST_CASE("tls: a strong RSA certificate is as good as any") {
    auto strong = named({"registry.test"});
    strong.rsa_bits = 2048;
    CHECK(verdict(strong, "registry.test") == "");
}

TEST_CASE("tls: what cannot be loaded says which file and why") {
    auto good = authority().issue(named({"a.test"}));
    auto other = authority().issue(named({"b.test"}));
    auto server_error = [](const std::string& certificate, const std::string& key) {
        auto context = TlsServerContext::load(certificate, key);
        REQUIRE(!context);
        return context.error();
    };
    auto missing = authority().directory() + "/missing.pem";
    auto empty = authority().write("empty.pem", "");
    auto broken = authority().write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    auto encrypted =
        authority().write("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    auto huge = authority().write("huge.pem", std::string(5 * MiB, 'x'));
    CHECK(server_error(missing, good.key) == "cannot read " + missing + ": No such file or directory");
    CHECK(server_error(good.certificate, missing) == "cannot read " + missing + ": No such file or directory");
    CHECK(server_error(empty, good.key) == empty + " holds no PEM certificate");
    CHECK(server_error(good.key, good.key) == good.key + " holds no PEM certificate");
    CHECK(server_error(broken, good.key).starts_with("cannot use the certificate in " + broken + ": X509 - "));
    CHECK(server_error(huge, good.key) == huge + " is larger than 4 MiB: not a certificate file");
    CHECK(server_error(good.certificate, good.certificate) == good.certificate + " holds no PEM private key");
    CHECK(server_error(good.certificate, encrypted) ==
          "the key in " + encrypted + " is encrypted: write it without a passphrase");
    CHECK(server_error(good.certificate, other.key) ==
          "the key in " + other.key + " does not belong to the certificate in " + good.certificate);
    CHECK(server_error(authority().directory(), good.key) == "cannot read " + authority().directory() + ": Is a directory");

    auto client = TlsClientContext::load(missing);
    REQUIRE(!client);
    CHECK(client.error() == "cannot read " + missing + ": No such file or directory");
    CHECK(TlsClientContext::load(empty).error() == empty + " holds no PEM certificate");
    std::stringstream half_broken;
    half_broken << std::ifstream(authority().ca_file()).rdbuf() << std::ifstream(broken).rdbuf();
    auto mixed = authority().write("mixed.pem", half_broken.str());
    CHECK(TlsClientContext::load(mixed).error() == mixed + " holds 1 certificates that cannot be read");
}

TEST_CASE("tls: the system's trust store does not trust our test authority") {
    auto context = TlsClientContext::load("");
    REQUIRE(context);
    (*context)->prepare();
    TestLoop loop;
    Handshake hands(loop, good_server(), **context, "registry.test");
    CHECK(!hands.client);
    CHECK(hands.client_error.code == Code::tls_certificate);
}

TEST_CASE("tls: an idle connection of a client costs at most 40 KiB") {
    TestLoop loop;
    good_server().prepare();
    Handshake warm(loop);
    constexpr std::size_t count = 16;
    std::vector<std::unique_ptr<Handshake>> all;
    std::vector<Task<Result<Chunk>>> waiting;
    all.reserve(count);
    waiting.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        all.push_back(std::make_unique<Handshake>(loop));
        REQUIRE(loop.run(send_text(*all.back()->client, "x")));
        REQUIRE(loop.run(read_all(*all.back()->server, 1)));
        waiting.push_back(all.back()->server->receive(soon()));
    }
    auto before = ::mallinfo2().uordblks;
    for (auto& one : all) one->server->interrupt();
    for (auto& task : waiting) static_cast<void>(loop.run(std::move(task)));
    for (auto& one : all) one->close(one->server, CloseHow::abort);
    auto idle_bytes = (before - ::mallinfo2().uordblks) / count;
    MESSAGE("an idle TLS connection keeps " << idle_bytes << " bytes");
    CHECK(idle_bytes <= 40 * KiB);
}
