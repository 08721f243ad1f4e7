// What a response becomes: its head, its body in every framing, and how a body that is none is told.

#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

using Plan = UpstreamBox::Plan;

Served raw(std::string bytes, Served::Then then = Served::Then::close) {
    Served served;
    served.bytes = std::move(bytes);
    served.then = then;
    return served;
}

/// Every piece of `body` as a chunk of its own.
std::string chunked(const std::string& body, std::size_t piece) {
    std::string text;
    for (std::size_t at = 0; at < body.size(); at += piece)
        text += fmt::format("{:x};x=y\r\n{}\r\n", std::min(piece, body.size() - at), body.substr(at, piece));
    return text + "0\r\nTrailer: x\r\n\r\n";
}

std::string patterned(std::size_t bytes) {
    std::string text(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
    return text;
}

}  // namespace

TEST_CASE("exchange: the head is told as far as it matters") {
    ScriptedServer registry([](const ServedRequest&) {
        return Served::ok(
            "{}",
            "Content-Type: Application/VND.oci.image.index.v1+JSON; charset=utf-8\r\nDocker-Content-Digest: sha256:ab\r\nSet-Cookie: a=b\r\n"
            "Link: </v2/x>; rel=\"first\"\r\nLink: </v2/y?last=b>; rel=\"next\"\r\nOCI-Filters-Applied: artifactType\r\n"
            "RateLimit-Limit: 100;w=21600\r\nRateLimit-Remaining: 99;w=21600\r\n");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto answer = box.ask("tags/list", UpstreamKind::tags);
    CHECK(answer.status == 200);
    CHECK(answer.body == "{}");
    CHECK(answer.content_length == 2);
    CHECK(answer.total_length == 2);
    CHECK(answer.content_type == "application/vnd.oci.image.index.v1+json");
    CHECK(answer.digest == "sha256:ab");
    CHECK(answer.link == "</v2/y?last=b>; rel=\"next\"");
    CHECK(answer.filters == "artifactType");
    auto& counters = box.table->counters(0);
    CHECK(counters.ratelimit_remaining.load() == 99);
    CHECK(counters.bytes.load() == 2);
    CHECK(counters.by_status[static_cast<std::size_t>(UpstreamKind::tags)][2].load() == 1);
}

TEST_CASE("exchange: what is left of the rate limit is learned from refusals too, and junk teaches nothing") {
    ScriptedServer registry;
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (const char* junk : {"", "x", "-5", ";w=1", "99999999999999999999999"}) {
        registry.script([&](const ServedRequest&) { return Served::ok("", fmt::format("RateLimit-Remaining: {}\r\n", junk)); });
        CHECK(box.ask().good());
        CHECK(box.table->counters(0).ratelimit_remaining.load() == -1);
    }
    registry.script([&](const ServedRequest&) { return Served::status(429, "RateLimit-Remaining: 0;w=21600\r\n"); });
    CHECK(box.ask().code() == Code::too_many_requests);
    CHECK(box.table->counters(0).ratelimit_remaining.load() == 0);
}

TEST_CASE("exchange: bodies of every framing arrive whole") {
    auto body = patterned(200'000);
    struct Row {
        const char* name;
        Served served;
        bool has_length;
    };
    const Row rows[] = {
        {"length", Served::ok(body), true},
        {"empty", Served::ok(""), true},
        {"one chunk", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, body.size())), false},
        {"small chunks", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 700)), false},
        {"uneven chunks", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 33'333)), false},
        {"until the end", raw("HTTP/1.1 200 OK\r\n\r\n" + body), false},
        {"HTTP/1.0", raw("HTTP/1.0 200 OK\r\n\r\n" + body), false},
        {"interim heads", raw("HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + Served::ok(body).bytes),
         true},
    };
    for (auto& row : rows) {
        CAPTURE(std::string(row.name));
        ScriptedServer registry([&](const ServedRequest&) { return row.served; });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        auto answer = box.ask();
        CHECK(answer.good());
        CHECK(answer.content_length.has_value() == row.has_length);
        CHECK(answer.body == (std::string(row.name) == "empty" ? "" : body));
    }
}

TEST_CASE("exchange: a body that ends early is never whole") {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                      chunked_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct Row {
        const char* name;
        Served served;
        Code code;
    };
    const Row rows[] = {
        {"nothing", raw(head), Code::wrong_length},
        {"one byte", raw(head + "x"), Code::wrong_length},
        {"all but one", raw(head + std::string(999, 'x')), Code::wrong_length},
        {"reset", raw(head + std::string(500, 'x'), Served::Then::reset), Code::reset},
        {"a chunk without its end", raw(chunked_head + "5\r\nabc"), Code::wrong_length},
        {"no last chunk", raw(chunked_head + "3\r\nabc\r\n"), Code::wrong_length},
        {"a large chunk without its end", raw(chunked_head + "fffff\r\n" + std::string(100'000, 'x')), Code::wrong_length},
        {"no chunk size", raw(chunked_head + "zz\r\nabc\r\n0\r\n\r\n"), Code::bad_message},
        {"a chunk that runs on", raw(chunked_head + "3\r\nabcd\r\n0\r\n\r\n"), Code::bad_message},
        {"a size of 17 digits", raw(chunked_head + "00000000000000001\r\na\r\n"), Code::bad_message},
    };
    for (auto& row : rows) {
        CAPTURE(std::string(row.name));
        ScriptedServer registry([&](const ServedRequest&) { return row.served; });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        auto answer = box.ask();
        REQUIRE(!answer.failure);
        REQUIRE(answer.body_error);
        // A reset may overtake what was sent before it.
        CHECK((answer.body_error->code == row.code || answer.body_error->code == Code::reset));
        CHECK(answer.body_error->fault == Fault::upstream);
    }
}

TEST_CASE("exchange: heads that are none are refused, and each says so") {
    const std::pair<const char*, std::string> heads[] = {
        {"no status line", "nonsense\r\n\r\n"},
        {"status 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"},
        {"status 099", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"},
        {"status 0", "HTTP/1.1 0 X\r\nContent-Length: 0\r\n\r\n"},
        {"version 9.9", "HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"TLS", std::string("\x16\x03\x03\x00\x02\x01\x00", 7)},
        {"a thousand fields", "HTTP/1.1 200 OK\r\n" +
                                  [] {
                                      std::string text;
                                      for (int i = 0; i < 1000; ++i) text += "X: y\r\n";
                                      return text;
                                  }() +
                                  "\r\n"},
        {"64 KiB of fields", "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'y') + "\r\n\r\n"},
        {"a status line without end", "HTTP/1.1 200 " + std::string(1'000'000, 'x')},
        {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
        {"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"interim heads without end",
         [] {
             std::string text;
             for (int i = 0; i < 20; ++i) text += "HTTP/1.1 100 Continue\r\n\r\n";
             return text;
         }()},
    };
    for (auto& [name, head] : heads) {
        CAPTURE(std::string(name));
        ScriptedServer registry([&, bytes = head](const ServedRequest&) { return raw(bytes, Served::Then::hang); });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        auto answer = box.ask();
        REQUIRE(answer.failure);
        CHECK(answer.code() == Code::bad_message);
        CHECK(answer.why().find("did not answer properly") != std::string::npos);
        CHECK(registry.count() == 1);  // garbage is not asked for twice
    }
}

TEST_CASE("exchange: 64 KiB of head is taken, one byte more is not") {
    for (std::size_t extra : {0, 1}) {
        CAPTURE(extra);
        std::string before = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: ", after = "\r\n\r\nok";
        std::string head = before + std::string(64 * 1024 + extra - before.size() - 4, 'y') + after;
        ScriptedServer registry([&](const ServedRequest&) { return raw(head); });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        CHECK(box.ask().good() == (extra == 0));
    }
}

TEST_CASE("exchange: an encoded body that nobody asked for is refused") {
    ScriptedServer registry([](const ServedRequest&) { return Served::ok("x", "Content-Encoding: gzip\r\n"); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto answer = box.ask();
    CHECK(answer.code() == Code::bad_message);
    CHECK(answer.why().find("encoded body (gzip)") != std::string::npos);
    CHECK(registry.requests()[0].header("Accept-Encoding") == "identity");
}

TEST_CASE("exchange: a resumed body begins where it was asked to, or is the whole") {
    ScriptedServer registry;
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto rest = box.request();
    rest.range_from = 6;
    registry.script([](const ServedRequest& request) {
        CHECK(request.header("Range") == "bytes=6-");
        return Served::status(206, "Content-Range: bytes 6-9/10\r\n", "rest");
    });
    auto part = box.ask(rest);
    CHECK(part.status == 206);
    CHECK(part.range_start == 6);
    CHECK(part.total_length == 10);
    CHECK(part.content_length == 4);
    CHECK(part.body == "rest");

    registry.script([](const ServedRequest&) { return Served::ok("0123456789"); });
    auto whole = box.ask(rest);
    CHECK(whole.status == 200);
    CHECK(whole.range_start == 0);
    CHECK(whole.total_length == 10);

    registry.script([](const ServedRequest&) { return Served::status(206, "Content-Range: bytes 5-9/10\r\n", "5rest"); });
    CHECK(box.ask(rest).code() == Code::bad_message);
    CHECK(box.ask().code() == Code::bad_message);  // no part was asked for
    registry.script([](const ServedRequest&) { return Served::status(416, "Content-Range: bytes */10\r\n"); });
    CHECK(box.ask(rest).failure->error == Error{Fault::upstream, Code::bad_status, 416});
}

TEST_CASE("exchange: HEAD has no body, whatever its length says, and the connection goes on") {
    ScriptedServer registry([](const ServedRequest& request) {
        return request.method() == "HEAD" ? Served::status(200, "Content-Length: 1234\r\nDocker-Content-Digest: sha256:ab\r\n")
                                          : Served::ok("x");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto head = box.request("manifests/1", UpstreamKind::manifest_head);
    head.head = true;
    auto answer = box.ask(head);
    CHECK(answer.content_length == 1234);
    CHECK(answer.body.empty());
    CHECK(answer.digest == "sha256:ab");
    CHECK(box.ask().good());
    CHECK(registry.accepts() == 1);
    CHECK(registry.requests()[0].header("Accept")->find("application/vnd.docker.distribution.manifest.list.v2+json") !=
          std::string::npos);
}

TEST_CASE("exchange: a body that stands still or drips is ended in the stall window") {
    auto still = raw("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(1000, 'x'), Served::Then::hang);
    auto dripping = Served::ok(std::string(2000, 'x'));
    dripping.drip = 5ms;  // 200 bytes a second
    for (auto& served : {still, dripping}) {
        ScriptedServer registry([&](const ServedRequest&) { return served; });
        Plan plan{.endpoints = {registry.url()}};
        plan.options.stall_window = 200ms;
        UpstreamBox box(std::move(plan));
        auto started = now();
        auto answer = box.ask();
        REQUIRE(answer.body_error);
        CHECK(*answer.body_error == Error{Fault::upstream, Code::timeout, answer.body_error->detail});
        CHECK(answer.body.size() < 2000);
        CHECK(now() - started < 5s);
    }
}

TEST_CASE("exchange: our own pauses are no stall") {
    ScriptedServer registry([](const ServedRequest&) { return Served::ok(std::string(20, 'x')); });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.stall_window = 50ms;
    UpstreamBox box(std::move(plan));
    auto asking = box.upstreams->ask(box.request());
    auto answer = box.loop.run(std::move(asking));
    REQUIRE(answer);
    auto exchange = *std::move(answer);
    std::byte one[1];
    for (int i = 0; i < 20; ++i) {
        if (i % 5 == 0) box.loop.run_for(60ms);
        auto got = box.loop.run(exchange->read(one));
        REQUIRE(got);
        CHECK(*got == 1);
    }
    box.loop.run(exchange->finish());
}

TEST_CASE("exchange: the rate limit of the registry is what counts, not that of a store behind a redirect") {
    ScriptedServer store([](const ServedRequest&) { return Served::ok("blob", "RateLimit-Remaining: 0\r\n"); });
    ScriptedServer registry([&](const ServedRequest&) { return Served::redirect(307, store.url("/x")); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask("manifests/1", UpstreamKind::manifest_get).good());
    auto& spec = *box.table->find(UpstreamBox::login_server);
    CHECK(box.upstreams->spares_refresh(spec, nullptr));
    CHECK(box.table->counters(0).ratelimit_remaining.load() == -1);
    registry.script([](const ServedRequest&) { return Served::ok("{}", "RateLimit-Remaining: 0;w=21600\r\n"); });
    CHECK(box.ask("manifests/1", UpstreamKind::manifest_get).good());
    CHECK_FALSE(box.upstreams->spares_refresh(spec, nullptr));
    CHECK(box.upstreams->spares_refresh(spec, box.credential_set("set0", "lab", "pass").get()));
    CHECK(box.ask("manifests/2", UpstreamKind::manifest_get).good());  // what is not here yet is asked for all the same
}
