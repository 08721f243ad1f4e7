#include "entrepot/registry/registry.h"

#include "support/registry_box.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <functional>
#include <thread>

namespace entrepot {
namespace {

const std::string config = "{}", layer = content(3'000'000);
const std::string manifest = image_manifest(digest_of(config), digest_of(layer));

Offer image_offer(const UpstreamRequest& request) {
    for (auto& blob : {config, layer}) {
        if (request.resource == "blobs/" + digest_of(blob).text()) return whole(blob, request);
    }
    bool known = request.resource == "manifests/latest" || request.resource == "manifests/" + digest_of(manifest).text();
    if (!known) return refusal(Code::not_found, 404);
    auto offer = whole(manifest, request);
    offer.content_type = image_manifest_type;
    return offer;
}

struct Box : RegistryBox {
    explicit Box(const std::string& directory = {}) : RegistryBox(hub_rule(), directory) { upstreams.answer = image_offer; }
};

/// The same on a disk, with the layer in its store.
struct DiskBox : DiskDirectory, Box {
    DiskBox() : Box(disk.path()) {
        RawClient client(loop(), port);
        CHECK(client.ask(blob_path(layer)).status == 200);
        until_stored(layer);
    }
    void close_files() { loop().run(cache.relieve_pressure()); }
};

/// Clients that have just asked for the layer; no turn of the loop has seen it.
struct Crowd {
    Crowd(Box& served, int count) : box(served) {
        auto request = box.blob_path(layer) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for (int number = 0; number < count; ++number) sockets.push_back(box.port.connect_apart());
        for (int socket : sockets) REQUIRE(::send(socket, request.data(), request.size(), 0) == std::ssize(request));
    }
    ~Crowd() {
        for (int socket : sockets) ::close(socket);
    }
    Crowd(const Crowd&) = delete;

    /// What each of them gets, once all have as many bytes as the layer.
    std::vector<std::string> bodies() {
        std::vector<std::string> answers(sockets.size());
        auto begin_of = [](const std::string& answer) { return std::min(answer.size(), answer.find("\r\n\r\n")) + 4; };
        auto all_came = [&] {
            for (std::size_t index = 0; index < sockets.size(); ++index) {
                std::array<char, 65'536> piece;
                for (ssize_t got; (got = ::recv(sockets[index], piece.data(), piece.size(), MSG_DONTWAIT)) > 0;)
                    answers[index].append(piece.data(), static_cast<std::size_t>(got));
            }
            return std::ranges::all_of(answers, [&](auto& answer) { return answer.size() >= begin_of(answer) + layer.size(); });
        };
        box.loop().run_until(all_came);
        for (auto& answer : answers) answer.erase(0, begin_of(answer));
        return answers;
    }

    Box& box;
    std::vector<int> sockets;
};

}  // namespace

TEST_CASE("registry: a blob is fetched, then hit, and both are the same bytes") {
    Box box;
    RawClient client(box.loop(), box.port);
    auto answer = client.ask(box.blob_path(layer));
    CHECK(answer.status == 200);
    CHECK(answer.field("X-Entrepot-Cache") == "fetch");
    CHECK(answer.field("Docker-Content-Digest") == digest_of(layer).text());
    CHECK(answer.field("ETag") == "\"" + digest_of(layer).text() + "\"");
    bool same = answer.body == layer;
    CHECK(same);
    box.until_stored(layer);
    answer = client.ask(box.blob_path(layer));
    CHECK(answer.field("X-Entrepot-Cache") == "hit");
    same = answer.body == layer;
    CHECK(same);
    CHECK(box.served.served_bytes[static_cast<int>(ServedFrom::fetch)].value() == layer.size());
    CHECK(box.served.served_bytes[static_cast<int>(ServedFrom::hit)].value() == layer.size());
    CHECK(box.served.requests[static_cast<int>(RequestKind::blob)][200].value() == 2);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("registry: a head of a body that is here leaves with its first bytes, however many bodies have their turn before it") {
    DiskBox box;
    RawClient first(box.loop(), box.port);
    CHECK(first.ask(box.blob_path(layer)).status == 200);  // all of it is in memory
    Crowd crowd(box, 16);
    constexpr int longest_head = 1024;
    std::ptrdiff_t answered = 0;
    for (int turn = 0; turn < 1000 && answered < std::ssize(crowd.sockets); ++turn) {
        box.loop()->turn(Instant{0});
        if (turn < 3) std::this_thread::sleep_for(std::chrono::milliseconds(250));  // the kernel keeps the head back for 200 ms
        answered = 0;
        for (int socket : crowd.sockets) {
            int here = 0;
            REQUIRE(::ioctl(socket, FIONREAD, &here) == 0);
            CHECK((here == 0 || here > longest_head));
            answered += here > 0;
        }
    }
    CHECK(answered == std::ssize(crowd.sockets));
}

TEST_CASE("registry: of many who want a blob that was not open one opens it for all, and one reads each chunk") {
    DiskBox box;
    box.close_files();
    auto& ring = box.loop().ring();
    ring.read_offsets.clear();
    ring.opened = 0;
    Crowd crowd(box, 64);
    for (auto& body : crowd.bodies()) CHECK((body == layer));
    CHECK(ring.opened == 1);
    auto& reads = ring.read_offsets;
    std::ranges::sort(reads);
    CHECK(reads.size() == chunk_count(layer.size()));
    CHECK(std::ranges::adjacent_find(reads) == reads.end());
}

TEST_CASE("registry: who waits for another's chunk tries by himself when that takes too long") {
    DiskBox box;
    box.close_files();
    box.loop().ring().read_offsets.clear();
    std::vector<Buffer> others;
    while (auto buffer = box.buffers.try_take()) others.push_back(std::move(buffer));
    Crowd crowd(box, 3);
    auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1300);
    box.loop().run_until([&] { return std::chrono::steady_clock::now() > until; });
    CHECK(box.loop().ring().read_offsets.empty());
    // Each of the three waits for a buffer of his own now.
    others.clear();
    for (auto& body : crowd.bodies()) CHECK((body == layer));
    auto& reads = box.loop().ring().read_offsets;
    CHECK(std::ranges::count(reads, 0u) == 3);
}

TEST_CASE("registry: a chunk that is damaged holds nobody back who waits for it") {
    DiskBox box;
    box.close_files();
    auto damaged = layer;
    damaged[77] ^= 4;
    write_text(box.box.blob_path(digest_of(layer)), damaged);
    Crowd crowd(box, 16);
    for (auto& body : crowd.bodies()) CHECK((body == layer));
    CHECK(box.troubles().quarantined >= 1);
    CHECK(box.upstreams.asked("blobs/" + digest_of(layer).text(), false) >= 2);
}

TEST_CASE("registry: ranges of a blob in the store, in memory and on its way") {
    Box box;
    RawClient client(box.loop(), box.port);
    for (int round = 0; round < 2; ++round) {
        for (auto& blob : {layer, config}) {
            auto size = std::to_string(blob.size());
            auto answer = client.ask(box.blob_path(blob), "Range: bytes=1-\r\n");
            CHECK(answer.status == 206);
            CHECK(answer.field("Content-Range") == "bytes 1-" + std::to_string(blob.size() - 1) + "/" + size);
            bool same = answer.body == blob.substr(1);
            CHECK(same);
            answer = client.ask(box.blob_path(blob), "Range: bytes=-1\r\nIf-Range: \"" + digest_of(blob).text() + "\"\r\n");
            CHECK(answer.status == 206);
            CHECK(answer.body == blob.substr(blob.size() - 1));
            answer = client.ask(box.blob_path(blob), "Range: bytes=" + size + "-\r\n");
            CHECK(answer.status == 416);
            CHECK(answer.field("Content-Range") == "bytes */" + size);
            answer = client.ask(box.blob_path(blob), "Range: bytes=0-0\r\nIf-Range: \"other\"\r\n");
            CHECK(answer.status == 200);
            box.until_stored(blob);
        }
    }
}

TEST_CASE("registry: HEAD of a blob tells its length without a transfer, and 304 goes only to those who may have it") {
    Box box;
    RawClient client(box.loop(), box.port);
    auto head = "HEAD" + box.blob_path(layer).substr(3);
    for (auto fields : {"", "Range: bytes=1-2\r\n", "Range: bytes=99999999-\r\n"}) {
        // A range is defined for GET alone (RFC 9110 section 14.2).
        auto answer = client.ask(head, fields);
        CHECK(answer.status == 200);
        CHECK(answer.field("Content-Length") == std::to_string(layer.size()));
        CHECK(answer.field("Content-Range").empty());
        CHECK(answer.field("X-Entrepot-Cache") == "bypass");
    }
    CHECK(box.upstreams.asked("blobs/" + digest_of(layer).text(), false) == 0);
    auto etag = "If-None-Match: \"" + digest_of(layer).text() + "\"\r\n";
    auto same = client.ask(box.blob_path(layer), etag);
    CHECK(same.status == 304);
    // What the 200 would say about keeping it (RFC 9110 section 15.4.5).
    CHECK(same.field("Cache-Control") == "public, max-age=31536000, immutable");
    CHECK(same.field("X-Entrepot-Cache") == "bypass");
    CHECK(client.ask(box.blob_path(layer)).status == 200);
    box.until_stored(layer);
    CHECK(client.ask(head).field("X-Entrepot-Cache") == "hit");
    CHECK(client.ask(box.blob_path(layer), etag).field("X-Entrepot-Cache") == "hit");
    box.upstreams.answer = [](auto&) { return refusal(Code::denied, 403); };
    auto denied = client.ask(box.blob_path(layer, "other"), etag);
    CHECK(denied.status == 403);
    CHECK(denied.body.find("DENIED") != std::string::npos);
}

TEST_CASE("registry: a manifest by tag and by digest, cold and hot, with what the client accepts and has") {
    Box box;
    RawClient client(box.loop(), box.port);
    auto by_digest = "GET /v2/hub/app/manifests/" + digest_of(manifest).text();
    std::string by_tag = "GET /v2/hub/app/manifests/latest";
    const char* served[] = {"fetch", "hit"};
    for (int round = 0; round < 2; ++round) {
        CAPTURE(round);
        auto answer = client.ask(by_tag, "Accept: application/json\r\nAccept: " + std::string(image_manifest_type) + "\r\n");
        CHECK(answer.status == 200);
        CHECK(answer.field("X-Entrepot-Cache") == served[round]);
        CHECK(answer.body == manifest);
        CHECK(answer.field("Content-Type") == image_manifest_type);
        CHECK(answer.field("Docker-Content-Digest") == digest_of(manifest).text());
        CHECK_FALSE(answer.field("Age").empty());
        answer = client.ask(by_digest);
        CHECK(answer.status == 200);
        CHECK(answer.body == manifest);
        CHECK(answer.field("Age").empty());
        for (auto& request : {by_tag, by_digest}) {
            answer = client.ask(request, "Accept: text/html\r\nAccept: application/xml\r\n");
            CHECK(answer.status == 404);
            CHECK(answer.body.find("MANIFEST_UNKNOWN") != std::string::npos);
            answer = client.ask(request, "If-None-Match: \"a\"\r\nIf-None-Match: W/\"" + digest_of(manifest).text() + "\"\r\n");
            CHECK(answer.status == 304);
            CHECK(answer.field("ETag") == "\"" + digest_of(manifest).text() + "\"");
            answer = client.ask("HEAD" + request.substr(3));
            CHECK(answer.status == 200);
            CHECK(answer.field("Content-Length") == std::to_string(manifest.size()));
        }
    }
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("registry: while the answer is not here yet, what the client accepts is judged on a copy") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_head = false;
    box.upstreams.answer = [&](auto& request) {
        auto offer = image_offer(request);
        offer.gate = gate;
        return offer;
    };
    RawClient client(box.loop(), box.port);
    // The second request arrives in the buffer that held the first one's fields.
    client.write("GET /v2/hub/app/manifests/latest HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n");
    box.loop().run_until([&] { return box.upstreams.requests.size() == 1; });
    client.write("GET /v2/hub/app/manifests/latest HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
    gate->open_all();
    CHECK(client.read().status == 404);
    CHECK(client.read().body == manifest);
}

TEST_CASE("registry: a manifest that a client pulled as a blob is served by its tag all the same") {
    Box box;
    RawClient client(box.loop(), box.port);
    CHECK(client.ask("GET /v2/hub/app/manifests/latest").status == 200);
    box.until_stored(manifest);
    CHECK(client.ask(box.blob_path(manifest)).body == manifest);
    auto answer = client.ask("GET /v2/hub/app/manifests/latest");
    CHECK(answer.status == 200);
    CHECK(answer.body == manifest);
    CHECK(answer.field("Content-Type") == image_manifest_type);
}

TEST_CASE("registry: each failure of upstream has its one answer") {
    struct Row {
        Error error;
        int status;
        std::string_view code;
    };
    const Row rows[] = {
        {{Fault::upstream, Code::not_found, 404}, 404, "BLOB_UNKNOWN"},
        {{Fault::upstream, Code::unauthorized, 401}, 403, "DENIED"},
        {{Fault::upstream, Code::denied, 403}, 403, "DENIED"},
        {{Fault::upstream, Code::too_many_requests, 429}, 429, "TOOMANYREQUESTS"},
        {{Fault::upstream, Code::timeout}, 504, "UNAVAILABLE"},
        {{Fault::upstream, Code::refused}, 502, "UNAVAILABLE"},
        {{Fault::upstream, Code::bad_status, 500}, 502, "UNAVAILABLE"},
        {{Fault::shutdown, Code::stopping}, 503, "UNAVAILABLE"},
    };
    for (auto& row : rows) {
        CAPTURE(row.status);
        Box box;
        box.upstreams.answer = [&](auto&) { return refusal(row.error.code, row.error.detail, row.error.fault); };
        RawClient client(box.loop(), box.port);
        auto answer = client.ask(box.blob_path(layer));
        CHECK(answer.status == row.status);
        CHECK(answer.body.find(row.code) != std::string::npos);
        CHECK(answer.body.find("registry.test/app") != std::string::npos);
        CHECK(answer.field("Retry-After").empty() == (row.status != 429 && row.status != 503));
    }
}

TEST_CASE("registry: wrong bytes from upstream are a short body, followed or bypassed") {
    for (bool bypass : {false, true}) {
        CAPTURE(bypass);
        Box box;
        auto wrong = layer;
        wrong[5] ^= 1;
        box.upstreams.answer = [&](auto& request) { return whole(wrong, request); };
        if (bypass) box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
        RawClient client(box.loop(), box.port);
        auto answer = client.ask(box.blob_path(layer));
        CHECK(answer.status == 200);
        CHECK(answer.body.size() < layer.size());
        CHECK(client.failed);
        CHECK(box.served.aborted.value() == 1);
        CHECK(box.counters.digest_mismatches.value() >= 1);
    }
}

TEST_CASE("registry: a part that is bypassed does not end before the whole was verified") {
    Box box;
    auto wrong = layer;
    wrong.back() ^= 1;
    auto offered = wrong;
    box.upstreams.answer = [&](auto& request) { return whole(offered, request); };
    box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
    {
        RawClient client(box.loop(), box.port);
        auto answer = client.ask(box.blob_path(layer), "Range: bytes=100-999999\r\n");
        CHECK(answer.status == 206);
        CHECK(answer.body.size() < 999'900);
        CHECK(client.failed);
    }
    offered = layer;
    RawClient client(box.loop(), box.port);
    for (auto [from, to] : {std::pair<std::size_t, std::size_t>{0, 0},
                            {100, 999'999},
                            {0, layer.size() - 1},
                            {layer.size() - 1, layer.size() - 1}}) {
        auto answer =
            client.ask(box.blob_path(layer), "Range: bytes=" + std::to_string(from) + "-" + std::to_string(to) + "\r\n");
        CHECK(answer.status == 206);
        CHECK(answer.field("X-Entrepot-Cache") == "bypass");
        bool same = answer.body == layer.substr(from, to - from + 1);
        CHECK(same);
    }
    CHECK_FALSE(client.failed);
}

TEST_CASE("registry: a disk that fails under a transfer costs the client nothing when upstream can give the rest") {
    for (bool knows_range : {true, false}) {
        CAPTURE(knows_range);
        Box box;
        box.upstreams.answer = [&](const UpstreamRequest& request) {
            auto asked = request;
            if (!knows_range) asked.range_from = 0;
            return whole(layer, asked);
        };
        box.troubles().append_bytes_max = 1'000'000;
        RawClient client(box.loop(), box.port);
        auto answer = client.ask(box.blob_path(layer));
        CHECK(answer.status == 200);
        bool same = answer.body == layer;
        CHECK(same);
        CHECK_FALSE(client.failed);
        CHECK(box.served.served_bytes[static_cast<int>(ServedFrom::bypass)].value() > 0);
    }
}

TEST_CASE("registry: a stored blob that rotted is noticed before its bytes leave, and fetched again") {
    Box box;
    RawClient client(box.loop(), box.port);
    CHECK(client.ask(box.blob_path(layer)).status == 200);
    box.until_stored(layer);
    box.loop().run(box.cache.relieve_pressure());
    auto rotten = layer;
    rotten[1'500'000] ^= 1;
    auto path = box.box.blob_path(digest_of(layer));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    write_text(path, rotten);
    auto answer = client.ask(box.blob_path(layer));
    CHECK(answer.status == 200);
    bool same = answer.body == layer;
    CHECK(same);
    CHECK_FALSE(client.failed);
    CHECK(box.troubles().quarantined == 1);
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("registry: a rotten small blob is fetched again too") {
    Box box;
    RawClient client(box.loop(), box.port);
    CHECK(client.ask(box.blob_path(config)).body == config);
    box.until_stored(config);
    box.loop().run(box.cache.relieve_pressure());
    auto path = box.box.blob_path(digest_of(config));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    write_text(path, "[]");
    auto answer = client.ask(box.blob_path(config));
    CHECK(answer.status == 200);
    CHECK(answer.body == config);
    CHECK(box.troubles().quarantined == 1);
}

TEST_CASE("registry: what is no pull is refused, and what no rule covers is not known") {
    Box box;
    RawClient client(box.loop(), box.port);
    CHECK(client.ask("GET /v2/").status == 200);
    CHECK(client.ask("HEAD /v2/").status == 200);
    auto unknown = client.ask("GET /v2/elsewhere/app/manifests/latest");
    CHECK(unknown.status == 404);
    CHECK(unknown.body.find("NAME_UNKNOWN") != std::string::npos);
    CHECK(client.ask("GET /v2/hub/app/blobs/sha256:abc").status == 400);
    CHECK(client.ask("GET /v1/").status == 404);
    // Absolute form with a query and no path: the path is "/", wherever that text lies.
    CHECK(client.ask("GET http://localhost?ns=" + std::string(2'000, 'x')).status == 404);
    CHECK(client.ask("GET http://localhost/v2/?ns=registry.test").status == 200);
    auto pushed = client.ask("POST /v2/hub/app/blobs/uploads/", "Content-Length: 0\r\n");
    CHECK(pushed.status == 405);
    CHECK(pushed.body.find("UNSUPPORTED") != std::string::npos);
    CHECK(client.at_end());
    CHECK(box.upstreams.requests.empty());
}

TEST_CASE("registry: tags come from upstream page by page, sorted; when it cannot answer, from what we know") {
    Box box;
    box.upstreams.answer = [](auto& request) {
        Offer offer;
        bool first = request.query.empty();
        offer.body = first ? R"({"name":"app","tags":["v3","v1"]})" : R"({"name":"app","tags":["v2"]})";
        if (first) offer.link = "</v2/app/tags/list?n=2&last=v3>; rel=\"next\"";
        return offer;
    };
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/hub/app/tags/list");
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"name":"hub/app","tags":["v1","v2","v3"]})");
    CHECK(box.upstreams.requests[1].query == "n=2&last=v3");
    answer = client.ask("GET /v2/hub/app/tags/list?n=2");
    CHECK(answer.field("Link") == "</v2/hub/app/tags/list?n=2&last=v2>; rel=\"next\"");
    answer = client.ask("GET /v2/hub/app/tags/list?n=0");
    CHECK(answer.status == 200);
    CHECK(answer.field("Link").empty());

    // What another's credentials brought is known by the same name: who was not given it does not learn of its tags.
    box.apply(PutTag{box.routed("app").ledger_name, "known", TagRecord{digest_of("x"), "", 1, 1}});
    box.apply(PutTag{box.routed("app").ledger_name, "of-others", TagRecord{digest_of("y"), "", 1, 1}});
    box.upstreams.answer = [](auto&) { return refusal(Code::bad_status, 500); };
    CHECK(client.ask("GET /v2/hub/app/tags/list").status == 502);
    box.apply(PutGrant{"", box.routed("app").ledger_name, digest_of("x")});
    answer = client.ask("GET /v2/hub/app/tags/list");
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"name":"hub/app","tags":["known"]})");
    CHECK(answer.field("X-Entrepot-Cache") == "stale");
    box.upstreams.answer = [](auto&) { return refusal(Code::not_found, 404); };
    CHECK(client.ask("GET /v2/hub/app/tags/list").status == 404);
}

TEST_CASE("registry: the next page of a list is where its link leads, however upstream writes it") {
    Box box;
    std::vector<std::string> links{"</v2/app/tags/list?n=1&last=a>; rel=next",
                                   "<https://registry.test/v2/app/tags/list?last=b>; rel=\"next\"",
                                   "</v2/app/tags/list?last=0>; rel=\"prev\", </v2/app/tags/list?last=c>; rel=\"next\"",
                                   "</v2/app/tags/list?last=z>; rel=\"first\""};
    box.upstreams.answer = [&](auto&) {
        Offer offer;
        auto page = box.upstreams.requests.size();
        offer.body = R"({"name":"app","tags":["t)" + std::to_string(page) + R"("]})";
        if (page <= links.size()) offer.link = links[page - 1];
        return offer;
    };
    RawClient client(box.loop(), box.port);
    CHECK(client.ask("GET /v2/hub/app/tags/list").body == R"({"name":"hub/app","tags":["t1","t2","t3","t4"]})");
    REQUIRE(box.upstreams.requests.size() == 4);
    CHECK(box.upstreams.requests[1].query == "n=1&last=a");
    CHECK(box.upstreams.requests[2].query == "last=b");
    CHECK(box.upstreams.requests[3].query == "last=c");
}

TEST_CASE("registry: referrers are all pages of upstream's, a list that does not end is no list") {
    Box box;
    auto subject = digest_of("subject").text();
    auto page_of = [](int number) {
        return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":")" +
               std::string(image_manifest_type) + R"(","digest":")" + digest_of(std::to_string(number)).text() +
               R"(","size":1,"artifactType":"application/x"}]})";
    };
    bool endless = false;
    box.upstreams.answer = [&](const UpstreamRequest& request) {
        Offer offer;
        bool first = request.query.empty();
        offer.body = page_of(first ? 1 : 2);
        if (first || endless) offer.link = "</v2/app/referrers/" + subject + "?n=1&last=x>; rel=\"next\"";
        return offer;
    };
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/hub/app/referrers/" + subject + "?artifactType=application/x");
    CHECK(answer.status == 200);
    CHECK(answer.field("OCI-Filters-Applied") == "artifactType");
    for (int number : {1, 2}) CHECK(answer.body.find(digest_of(std::to_string(number)).text()) != std::string::npos);
    CHECK(box.upstreams.requests.size() == 2);
    endless = true;
    CHECK(client.ask("GET /v2/hub/app/referrers/" + subject).status == 502);
    CHECK(client.ask("GET /v2/hub/app/tags/list").status == 502);
}

TEST_CASE("registry: a request that nobody could read is counted as well") {
    Box box;
    RawClient client(box.loop(), box.port);
    client.write("nonsense\r\n\r\n");
    CHECK(client.read().status == 400);
    CHECK(box.served.requests[static_cast<int>(RequestKind::other)][400].value() == 1);
}

TEST_CASE("registry: a client that is gone does not wait for a fetch that stands still; who only finished asking does") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = layer.size() - 1;
    box.upstreams.answer = [&](auto& request) {
        auto offer = image_offer(request);
        offer.gate = gate;
        return offer;
    };
    auto& connections = box.port.connections;
    RawClient gone(box.loop(), box.port), quiet(box.loop(), box.port);
    for (auto* client : {&gone, &quiet}) {
        client->write(box.blob_path(layer) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        CHECK(client->read(true).status == 200);
        client->read_some(layer.size() - withheld_bytes);
    }
    CHECK(connections.open() == 2);
    gone.leave(CloseHow::abort);
    box.loop().run_until([&] { return connections.open() == 1; }, seconds(5));
    CHECK(box.served.aborted.value() == 1);
    // Who has ended his side may still read, and only bytes could tell: he keeps his place for a while. (The far end of a linger reads 64 KiB more.)
    quiet.leave(CloseHow::linger);
    box.loop().run_for(milliseconds(20));
    CHECK(connections.open() == 1);
    gate->open_all();
    box.loop().run_until([&] { return connections.open() == 0; }, seconds(5));
    CHECK(box.served.aborted.value() == 1);
    CHECK(box.served.served_bytes[static_cast<int>(ServedFrom::follow)].value() == layer.size());
}

TEST_CASE("registry: heads of the longest names fit") {
    Box box;
    std::string repository = "hub/" + std::string(240, 'a'), tag(128, 't'), host(200, 'h');
    box.upstreams.answer = [&](auto&) {
        Offer offer;
        offer.body = R"({"name":"x","tags":[")" + tag + R"(","u"]})";
        return offer;
    };
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/" + repository + "/tags/list?n=1");
    CHECK(answer.status == 200);
    CHECK(answer.field("Link").find(tag) != std::string::npos);
    answer = client.ask("GET /v2/" + repository + "/tags/list?n=1&ns=" + host + ".example:65535");
    CHECK((answer.status == 404 || answer.status == 400));
}

namespace {

struct RuledBox : RegistryBox {
    explicit RuledBox(const std::function<void(RuleText&)>& change) : RegistryBox(changed(change)) {
        upstreams.answer = image_offer;
    }
    static RuleText changed(const std::function<void(RuleText&)>& change) {
        auto rule = hub_rule();
        change(rule);
        return rule;
    }
};

}  // namespace

TEST_CASE("registry: what a rule's patterns do not allow is not there, and upstream is not asked") {
    RuledBox box([](RuleText& rule) { rule.allow = {"app", "team/**"}, rule.deny = {"team/secret"}; });
    RawClient client(box.loop(), box.port);
    for (auto path :
         {"GET /v2/hub/other/manifests/latest", "GET /v2/hub/team/secret/manifests/latest", "GET /v2/hub/other/tags/list"}) {
        CAPTURE(path);
        auto answer = client.ask(path);
        CHECK(answer.status == 404);
        CHECK(answer.body.find("NAME_UNKNOWN") != std::string::npos);
        CHECK(answer.body.find("cache rule 'hub'") != std::string::npos);
    }
    CHECK(client.ask(box.blob_path(config, "other")).status == 404);
    CHECK(box.upstreams.requests.empty());
    CHECK(client.ask("GET /v2/hub/app/manifests/latest").status == 200);
    CHECK(client.ask(box.blob_path(config, "team/x")).status == 200);
}

TEST_CASE("registry: a tag filter holds for tags and lists of them, and lets digests pass") {
    RuledBox box([](RuleText& rule) { rule.tags.starts_with = "v"; });
    box.upstreams.answer = [](auto& request) {
        if (request.kind == UpstreamKind::tags) return whole(R"({"name":"app","tags":["latest","v1","v2","x"]})", request);
        return image_offer(request);
    };
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/hub/app/manifests/latest");
    CHECK(answer.status == 404);
    CHECK(answer.body.find("cache rule 'hub' serves only tags that start with \\\"v\\\", not 'latest'") != std::string::npos);
    CHECK(box.upstreams.requests.empty());
    CHECK(client.ask("GET /v2/hub/app/manifests/" + digest_of(manifest).text()).status == 200);
    answer = client.ask("GET /v2/hub/app/tags/list");
    CHECK(answer.body == R"({"name":"hub/app","tags":["v1","v2"]})");
    answer = client.ask("GET /v2/hub/app/tags/list?n=1");
    CHECK(answer.body == R"({"name":"hub/app","tags":["v1"]})");
    CHECK(answer.field("Link").find("last=v1") != std::string::npos);
}

TEST_CASE("registry: a list of tags outlives its upstream as far as the rule lets each tag") {
    RuledBox box([](RuleText& rule) {
        rule.tags.contains = "o", rule.stale.server_error = seconds(50), rule.stale.network = Duration(0);
    });
    auto know = [&](const std::string& tag, Duration ago) {
        TagRecord record{digest_of(manifest), std::string(image_manifest_type), manifest.size(),
                         wall_seconds() - std::chrono::duration_cast<seconds>(ago).count()};
        box.apply(PutTag{box.routed("app").ledger_name, tag, record});
        box.apply(PutGrant{"", box.routed("app").ledger_name, record.digest});
    };
    know("old", seconds(100));
    know("young", seconds(10));
    know("filtered", seconds(10));
    box.upstreams.answer = [](auto&) { return refusal(Code::bad_status, 500); };
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/hub/app/tags/list");
    CHECK(answer.status == 200);
    CHECK(answer.body == R"({"name":"hub/app","tags":["young"]})");
    CHECK(answer.field("X-Entrepot-Cache") == "stale");
    box.upstreams.answer = [](auto&) { return refusal(Code::refused); };
    CHECK(client.ask("GET /v2/hub/app/tags/list").status == 502);
}

namespace {

const std::string arm_config = R"({"architecture":"arm64","os":"linux"})",
                  amd_config = R"({"architecture":"amd64","os":"linux"})";
const std::string
    arm_image = image_manifest(digest_of(arm_config), digest_of("a")),
    amd_image = image_manifest(digest_of(amd_config), digest_of("b")),
    chart =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":")" +
        digest_of("{}").text() + R"(","size":2},"layers":[]})";

std::string child(const std::string& manifest, std::string_view architecture) {
    return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" + digest_of(manifest).text() +
           R"(","size":)" + std::to_string(manifest.size()) + R"(,"platform":{"os":"linux","architecture":")" +
           std::string(architecture) + "\"}}";
}
const std::string both = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" +
                         child(arm_image, "arm64") + "," + child(amd_image, "amd64") + "]}";

Offer platforms_offer(const UpstreamRequest& request) {
    for (auto& blob : {arm_config, amd_config, std::string("{}")}) {
        if (request.resource == "blobs/" + digest_of(blob).text()) return whole(blob, request);
    }
    for (auto& [tag, text] :
         {std::pair<std::string, std::string>{"both", both}, {"arm", arm_image}, {"amd", amd_image}, {"chart", chart}}) {
        if (request.resource != "manifests/" + tag && request.resource != "manifests/" + digest_of(text).text()) continue;
        auto offer = whole(text, request);
        offer.content_type = tag == "both" ? "application/vnd.oci.image.index.v1+json" : image_manifest_type;
        offer.docker_content_digest = digest_of(text).text();
        return offer;
    }
    return refusal(Code::not_found, 404);
}

struct PlatformBox : RuledBox {
    PlatformBox() : RuledBox([](RuleText& rule) { rule.platforms = {"linux/amd64"}; }) { upstreams.answer = platforms_offer; }
    void until_granted(const std::string& text) {
        loop().run_until([&] { return granted(routed("app"), digest_of(text)); });
    }
};

constexpr auto accepts_all = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json\r\n";

}  // namespace

TEST_CASE(
    "registry: under a rule with platforms an index stays what it is, and its children of other platforms are refused unasked") {
    PlatformBox box;
    RawClient client(box.loop(), box.port);
    auto answer = client.ask("GET /v2/hub/app/manifests/both", accepts_all);
    CHECK(answer.status == 200);
    CHECK(answer.body == both);
    box.until_granted(arm_image);
    auto asked = box.upstreams.requests.size();
    for (int round = 0; round < 2; ++round) {
        answer = client.ask("GET /v2/hub/app/manifests/" + digest_of(arm_image).text(), accepts_all);
        CHECK(answer.status == 404);
        CHECK(answer.body.find("cache rule 'hub' serves only platforms linux/amd64, not linux/arm64") != std::string::npos);
    }
    CHECK(box.upstreams.requests.size() == asked);
    for (int round = 0; round < 2; ++round) {
        answer = client.ask("GET /v2/hub/app/manifests/" + digest_of(amd_image).text(), accepts_all);
        CHECK(answer.status == 200);
        CHECK(answer.body == amd_image);
    }
    answer = client.ask("GET /v2/hub/app/manifests/" + digest_of(both).text(), accepts_all);
    CHECK(answer.status == 200);
}

TEST_CASE("registry: an image that stands alone is of the platform that its config says, asked once") {
    PlatformBox box;
    RawClient client(box.loop(), box.port);
    for (auto& reference : {std::string("arm"), digest_of(arm_image).text()}) {
        auto answer = client.ask("GET /v2/hub/app/manifests/" + reference, accepts_all);
        CHECK(answer.status == 404);
        CHECK(answer.body.find("not linux/arm64") != std::string::npos);
        CHECK(client.ask("HEAD /v2/hub/app/manifests/" + reference, accepts_all).status == 404);
    }
    for (auto& reference : {std::string("amd"), digest_of(amd_image).text()}) {
        CHECK(client.ask("GET /v2/hub/app/manifests/" + reference, accepts_all).status == 200);
        CHECK(client.ask("HEAD /v2/hub/app/manifests/" + reference, accepts_all).status == 200);
    }
    CHECK(box.upstreams.asked("blobs/" + digest_of(arm_config).text(), false) == 1);
    CHECK(box.upstreams.asked("blobs/" + digest_of(amd_config).text(), false) == 1);
    // A chart runs on no platform.
    CHECK(client.ask("GET /v2/hub/app/manifests/chart", accepts_all).status == 200);
}

TEST_CASE("registry: a config that cannot be had is a failure of the pull, not a platform") {
    PlatformBox box;
    box.upstreams.answer = [](auto& request) {
        return request.kind == UpstreamKind::blob ? refusal(Code::bad_status, 500) : platforms_offer(request);
    };
    RawClient client(box.loop(), box.port);
    CHECK(client.ask("GET /v2/hub/app/manifests/amd", accepts_all).status == 502);
    box.upstreams.answer = platforms_offer;
    CHECK(client.ask("GET /v2/hub/app/manifests/amd", accepts_all).status == 200);
}

}  // namespace entrepot
