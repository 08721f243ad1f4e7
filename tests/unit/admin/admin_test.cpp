#include "entrepot/admin/admin.h"

#include "support/registry_box.h"

#include <nlohmann/json.hpp>

namespace entrepot {
namespace {

struct AdminBox : RegistryBox {
    AdminBox() : admin(AdminContext{.metrics = make_sources()}), admin_port(loop(), admin) {}
    MetricSources make_sources() {
        MetricSources sources;
        sources.shards.push_back({&*loop(), &counters, &served, &port.connections, &buffers});
        sources.store = &store->counters();
        sources.disks = store->disks();
        sources.upstreams = &upstream_table;
        sources.started = now();
        sources.version = "1.2.3";
        return sources;
    }
    Admin admin;
    ServedPort admin_port;
};

bool has_line(const std::string& page, const std::string& line) { return page.find("\n" + line + "\n") != std::string::npos; }

}  // namespace

TEST_CASE("admin: alive at once, ready when told, and no longer when told") {
    AdminBox box;
    RawClient client(box.loop(), box.admin_port);
    CHECK(client.ask("GET /healthz").body == "ok\n");
    CHECK(client.ask("GET /readyz").status == 503);
    box.admin.set_ready(true);
    CHECK(client.ask("GET /readyz").status == 200);
    CHECK(client.ask("HEAD /readyz").status == 200);
    box.admin.set_ready(false);
    CHECK(client.ask("GET /readyz").status == 503);
    CHECK(client.ask("GET /nothing").status == 404);
}

TEST_CASE("admin: a disk in trouble is told everywhere, with its path where one may know it, and the server stays ready") {
    AdminBox box;
    box.admin.set_ready(true);
    RawClient client(box.loop(), box.admin_port);
    auto path = box.store->disks().front()->path();
    auto status = [&] { return nlohmann::json::parse(client.ask("GET /api/v1/status").body); };
    CHECK(status()["state"] == "ok");
    CHECK(status()["disks"].size() == 2);
    CHECK(status()["disks"][1]["kind"] == "ledger");
    CHECK(has_line(client.ask("GET /metrics").body, "entrepot_degraded 0"));
    const_cast<DiskHealth*>(box.store->disks().front())->note_failure("writing a blob", EROFS);
    for (auto* page : {"GET /readyz", "GET /healthz"}) {
        auto reply = client.ask(page);
        CHECK(reply.status == 200);
        CHECK(reply.body.find("degraded: a volume is read-only; ") != std::string::npos);
        CHECK(reply.body.find(path) == std::string::npos);
    }
    auto page = client.ask("GET /metrics").body;
    CHECK(has_line(page, "entrepot_degraded 1"));
    CHECK(has_line(page, "entrepot_disk_state{kind=\"volume\",path=\"" + path + "\",state=\"read_only\"} 1"));
    CHECK(has_line(page, "entrepot_disk_state{kind=\"volume\",path=\"" + path + "\",state=\"healthy\"} 0"));
    auto document = status();
    CHECK(document["state"] == "degraded");
    CHECK(document["disks"][0]["state"] == "read_only");
    auto problem = document["disks"][0]["problem"].get<std::string>();
    CHECK(problem.starts_with("volume " + path + " is read-only: writing a blob failed: Read-only file system; "));
}

TEST_CASE("admin: only names of this machine are answered, whatever a browser was made to believe") {
    AdminBox box;
    struct Row {
        std::string host;
        int status;
    };
    for (auto& row : {Row{"localhost", 200}, Row{"localhost:5001", 200}, Row{"127.0.0.1:5001", 200}, Row{"[::1]:5001", 200},
                      Row{"[::1]", 200}, Row{"10.1.2.3", 200}, Row{"evil.example", 403}, Row{"127.0.0.1.evil.example:5001", 403},
                      Row{"localhost.evil.example", 403}}) {
        CAPTURE(row.host);
        RawClient client(box.loop(), box.admin_port);
        client.write("GET /healthz HTTP/1.1\r\nHost: " + row.host + "\r\n\r\n");
        CHECK(client.read().status == row.status);
    }
}

TEST_CASE("admin: nothing is changed here") {
    AdminBox box;
    RawClient client(box.loop(), box.admin_port);
    auto answer = client.ask("DELETE /api/v1/status");
    CHECK(answer.status == 405);
    CHECK(answer.field("Allow") == "GET, HEAD");
}

TEST_CASE("admin: the metrics page adds up what happened") {
    AdminBox box;
    std::string blob = "abc";
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    RawClient puller(box.loop(), box.port);
    CHECK(puller.ask(box.blob_path(blob)).status == 200);
    box.until_stored(blob);
    CHECK(puller.ask(box.blob_path(blob)).status == 200);
    auto& upstream = box.upstream_table.counters_of(0);
    upstream.by_status[static_cast<int>(UpstreamKind::blob)][2] = 1;
    upstream.bytes = 3;
    upstream.ratelimit_remaining = 99;
    upstream.exchanges.held = 5;
    upstream.exchanges.waiting = 40;
    upstream.exchanges.waiting_clients = 2;
    RawClient client(box.loop(), box.admin_port);
    auto answer = client.ask("GET /metrics");
    CHECK(answer.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
    auto& page = answer.body;
    for (std::string line : {"entrepot_requests_total{kind=\"blob\",status=\"200\"} 2",
                             "entrepot_served_bytes_total{from=\"fetch\"} 3", "entrepot_served_bytes_total{from=\"hit\"} 3",
                             "entrepot_upstream_requests_total{login_server=\"registry.test\",kind=\"blob\",status=\"2xx\"} 1",
                             "entrepot_upstream_bytes_total{login_server=\"registry.test\"} 3",
                             "entrepot_upstream_exchanges{login_server=\"registry.test\"} 5",
                             "entrepot_upstream_waiting{login_server=\"registry.test\"} 40",
                             "entrepot_upstream_waiting_clients{login_server=\"registry.test\"} 2",
                             "entrepot_ratelimit_remaining{login_server=\"registry.test\"} 99",
                             "entrepot_fetches_total{result=\"stored\"} 1", "entrepot_store_blobs 1", "entrepot_connections 1"}) {
        CAPTURE(line);
        CHECK(has_line(page, line));
    }
    // Each family is declared once, before its samples; every line is a comment or a sample.
    std::size_t families = 0;
    for (std::size_t at = 0; at < page.size();) {
        auto line = page.substr(at, page.find('\n', at) - at);
        at += line.size() + 1;
        if (line.starts_with("# TYPE ")) {
            ++families;
            auto name = line.substr(7, line.find(' ', 7) - 7);
            CHECK(page.find("# TYPE " + name + " ") == page.rfind("# TYPE " + name + " "));
        }
        CHECK((line.starts_with("# ") || (line.starts_with("entrepot_") && line.find(' ') != std::string::npos)));
    }
    CHECK(families > 20);
}

TEST_CASE("admin: the status document is JSON with the numbers of the page") {
    AdminBox box;
    RawClient client(box.loop(), box.admin_port);
    auto answer = client.ask("GET /api/v1/status");
    auto document = nlohmann::json::parse(answer.body, nullptr, false);
    REQUIRE(document.is_object());
    CHECK(document["version"] == "1.2.3");
    CHECK(document["ready"] == false);
    CHECK(document["shards"] == 1);
    CHECK(document["store"]["blobs"] == 0);
}

}  // namespace entrepot
