#include "entrepot/cache/cache.h"

#include "support/cache_box.h"
#include "support/second_loop.h"

namespace entrepot {
namespace {

const std::string config = "{}", layer = content(200'000);
const std::string manifest = image_manifest(digest_of(config), digest_of(layer));

/// What a registry with one image answers.
Offer image_offer(const UpstreamRequest& request) {
    for (auto& blob : {config, layer}) {
        if (request.resource == "blobs/" + digest_of(blob).text()) return whole(blob, request);
    }
    bool known = request.resource == "manifests/latest" || request.resource == "manifests/" + digest_of(manifest).text();
    if (!known) return refusal(Code::not_found, 404);
    auto offer = whole(manifest, request);
    offer.content_type = image_manifest_type;
    offer.docker_content_digest = digest_of(manifest).text();
    return offer;
}

struct Box : CacheBox {
    Box() { upstreams.answer = image_offer; }
    Fetched<BlobSource> open(const Source& source, const std::string& blob) {
        return loop().run(cache.open_blob(source, digest_of(blob)));
    }
    Fetched<ManifestAnswer> manifest_of(const Source& source, std::string tag, Digest digest = {}) {
        return loop().run(cache.open_manifest(source, std::move(tag), digest, false));
    }
    /// Until what was fetched is stored and granted.
    void settle(const Source& source, const std::string& blob) {
        loop().run_until([&] { return cache.running_fetches() == 0 && granted(source, digest_of(blob)); });
    }
};

}  // namespace

TEST_CASE("cache: the first fetches, those who come meanwhile follow, those who come later hit") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 10;
    box.upstreams.answer = [&](auto& request) {
        auto offer = image_offer(request);
        offer.gate = gate;
        return offer;
    };
    {
        auto first = box.open(box.source(), layer);
        auto second = box.open(box.source(), layer);
        REQUIRE(first);
        REQUIRE(second);
        CHECK(first->served == Served::fetch);
        CHECK(second->served == Served::follow);
        CHECK(first->length == layer.size());
        CHECK(first->follower.has_value());
        CHECK_FALSE(first->hot);
        CHECK(box.cache.running_fetches() == 1);
        CHECK(box.counters.followers.value() == 1);
        gate->open_all();
    }
    box.settle(box.source(), layer);
    auto third = box.open(box.source(), layer);
    REQUIRE(third);
    CHECK(third->served == Served::hit);
    REQUIRE(third->hot);
    CHECK(third->hot->file);
    CHECK(box.cache.find_hot(box.source(), digest_of(layer)) == third->hot);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("cache: a small blob is answered from memory once it was opened") {
    Box box;
    (void)box.open(box.source(), config);
    box.settle(box.source(), config);
    auto again = box.open(box.source(), config);
    REQUIRE(again);
    REQUIRE(again->hot);
    REQUIRE(again->hot->body);
    CHECK(*again->hot->body == config);
    CHECK_FALSE(again->hot->file);
}

TEST_CASE("cache: what one repository brought, another gets only when upstream confirms it, and is asked once") {
    Box box;
    (void)box.open(box.source(), layer);
    box.settle(box.source(), layer);
    box.upstreams.requests.clear();
    auto other = box.source("library/other"), foreign = box.source("library/foreign");
    box.upstreams.answer = [&](auto& request) {
        return request.repository == "library/other"
                   ? image_offer(request)
                   : refusal(request.repository == "library/foreign" ? Code::denied : Code::not_found, 403);
    };
    CHECK(box.cache.find_hot(other, digest_of(layer)) == nullptr);
    auto confirmed = box.open(other, layer);
    REQUIRE(confirmed);
    CHECK(confirmed->served == Served::hit);
    REQUIRE(box.upstreams.requests.size() == 1);
    CHECK(box.upstreams.requests[0].head);
    CHECK(box.upstreams.requests[0].repository == "library/other");
    CHECK(box.granted(other, digest_of(layer)));

    auto denied = box.open(foreign, layer);
    REQUIRE_FALSE(denied);
    CHECK(denied.error().error.code == Code::denied);
    CHECK_FALSE(box.granted(foreign, digest_of(layer)));
    CHECK(box.cache.find_hot(foreign, digest_of(layer)) == nullptr);
    // The refusal took nothing from those who have it.
    CHECK(box.cache.find_hot(other, digest_of(layer)));
    CHECK(box.upstreams.requests.size() == 2);
    CHECK(box.open(other, layer));
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("cache: a registry that refuses every HEAD of a blob is asked by GET, and its body is left alone") {
    for (auto [code, status] : {std::pair{Code::unauthorized, 401}, {Code::bad_status, 405}}) {
        CAPTURE(status);
        Box box;
        box.put(layer);
        auto refused = refusal(code, status);
        box.upstreams.answer = [&](auto& request) { return request.head ? refused : image_offer(request); };
        auto length = box.loop().run(box.cache.blob_length(box.source(), digest_of(layer)));
        REQUIRE(length);
        CHECK(length->bytes == layer.size());
        auto opened = box.open(box.source(), layer);
        REQUIRE(opened);
        CHECK(opened->served == Served::hit);
        CHECK(box.upstreams.requests.size() == 4);
        CHECK(box.granted(box.source(), digest_of(layer)));
        box.upstreams.answer = [&](auto&) { return refused; };
        CHECK_FALSE(box.open(box.source("library/foreign"), layer));
    }
}

TEST_CASE("cache: one repository under two credentials is two sources") {
    Box box;
    auto with_credential = box.source("library/app", credential_named("hub"));
    (void)box.open(with_credential, layer);
    box.settle(with_credential, layer);
    CHECK(box.cache.find_hot(box.source(), digest_of(layer)) == nullptr);
    box.upstreams.answer = [](auto&) { return refusal(Code::unauthorized, 401); };
    auto anonymous = box.open(box.source(), layer);
    REQUIRE_FALSE(anonymous);
    CHECK(anonymous.error().error.code == Code::unauthorized);
}

TEST_CASE("cache: another repository joins a running fetch only after upstream confirmed it") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 10;
    box.upstreams.answer = [&](auto& request) {
        if (request.repository == "library/foreign") return refusal(Code::not_found, 404);
        auto offer = image_offer(request);
        offer.gate = gate;
        return offer;
    };
    {
        auto first = box.open(box.source(), layer);
        REQUIRE(first);
        auto foreign = box.open(box.source("library/foreign"), layer);
        REQUIRE_FALSE(foreign);
        CHECK(foreign.error().error.code == Code::not_found);
        auto other = box.open(box.source("library/other"), layer);
        REQUIRE(other);
        CHECK(other->served == Served::follow);
        CHECK(box.upstreams.asked("blobs/" + digest_of(layer).text(), false) == 1);
        gate->open_all();
    }
    box.settle(box.source(), layer);
}

TEST_CASE("cache: a fetch that waits for upstream waits for everybody who joined it") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_head = false;
    box.upstreams.answer = [&](auto& request) {
        auto offer = image_offer(request);
        offer.gate = gate;
        return offer;
    };
    auto first = box.source(), second = box.source();
    first.client = 1;
    second.client = 2;
    auto opening = box.cache.open_blob(first, digest_of(layer));
    box.loop().run_until([&] { return box.upstreams.requests.size() == 1; });
    auto& asked = box.upstreams.requests.front();
    CHECK(asked.client == 1);
    REQUIRE(asked.askers);
    CHECK(asked.askers->count() == 1);
    auto again = box.cache.open_blob(first, digest_of(layer));
    auto joining = box.cache.open_blob(second, digest_of(layer));
    box.loop().run_until([&] { return box.counters.followers.value() == 2; });
    CHECK(asked.askers->count() == 2);
    gate->open_all();
    for (auto* task : {&opening, &again, &joining}) CHECK(box.loop().run(std::move(*task)));
    CHECK(box.upstreams.requests.size() == 1);
    box.settle(box.source(), layer);
}

TEST_CASE("cache: a fetch that ends while another repository asks for leave is not fetched again") {
    Box box;
    auto fetching = std::make_shared<FlowGate>(), asking = std::make_shared<FlowGate>();
    fetching->open_bytes = 10;
    asking->open_head = false;
    box.upstreams.answer = [&](auto& request) {
        auto offer = image_offer(request);
        offer.gate = request.head ? asking : fetching;
        return offer;
    };
    auto first = box.loop().run(box.cache.open_blob(box.source(), digest_of(layer)));
    REQUIRE(first);
    auto other = box.cache.open_blob(box.source("library/other"), digest_of(layer));
    box.loop().run_until([&] { return box.upstreams.requests.size() == 2; });
    fetching->open_all();
    first->follower.reset();
    box.settle(box.source(), layer);
    asking->open_all();
    auto opened = box.loop().run(std::move(other));
    REQUIRE(opened);
    CHECK(opened->served == Served::hit);
    CHECK(box.upstreams.requests.size() == 2);
    CHECK(box.troubles().begun == 1);
    CHECK(box.box.has(digest_of(layer)));
}

TEST_CASE("cache: a failure of upstream is the answer, one of the store is not") {
    Box box;
    auto absent = box.open(box.source(), "something else");
    REQUIRE_FALSE(absent);
    CHECK(absent.error().error.code == Code::not_found);
    box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
    auto bypass = box.open(box.source(), layer);
    REQUIRE(bypass);
    CHECK(bypass->served == Served::bypass);
    CHECK(bypass->length == layer.size());
    CHECK_FALSE(bypass->follower);
    CHECK_FALSE(bypass->hot);
}

TEST_CASE("cache: an upstream that promises nothing for a digest that is something gets no answer through") {
    Box box;
    box.upstreams.answer = [](auto&) { return Offer{}; };
    auto opened = box.open(box.source(), layer);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().error.code == Code::wrong_digest);
    // The digest of nothing is another matter.
    auto empty = box.open(box.source(), "");
    REQUIRE(empty);
    CHECK(empty->length == 0);
}

TEST_CASE("cache: a length comes from memory, from the ledger if granted, or from upstream by HEAD") {
    Box box;
    auto length = [&](const Source& source) { return box.loop().run(box.cache.blob_length(source, digest_of(layer))); };
    auto asked = length(box.source());
    REQUIRE(asked);
    CHECK(asked->bytes == layer.size());
    CHECK(asked->served == Served::bypass);
    CHECK(box.upstreams.requests.size() == 1);
    CHECK(box.upstreams.requests[0].head);
    (void)box.open(box.source(), layer);
    box.settle(box.source(), layer);
    box.upstreams.requests.clear();
    auto known = length(box.source());
    REQUIRE(known);
    CHECK(known->bytes == layer.size());
    CHECK(known->served == Served::hit);
    CHECK(box.upstreams.requests.empty());
    box.upstreams.answer = [](auto&) { return refusal(Code::denied, 403); };
    CHECK_FALSE(length(box.source("library/foreign")));
}

TEST_CASE("cache: a tag is asked once, then hot with its manifest, for its source alone") {
    Box box;
    CHECK_FALSE(box.cache.find_hot_tag(box.source(), "latest"));
    auto answer = box.manifest_of(box.source(), "latest");
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    CHECK(answer->digest == digest_of(manifest));
    REQUIRE(answer->content);
    CHECK(*answer->content->body == manifest);
    auto hot = box.cache.find_hot_tag(box.source(), "latest");
    REQUIRE(hot);
    CHECK(hot->served == Served::hit);
    CHECK(hot->type() == image_manifest_type);
    CHECK(hot->size == manifest.size());
    CHECK(hot->content == answer->content);
    CHECK_FALSE(box.cache.find_hot_tag(box.source("library/other"), "latest"));
    CHECK_FALSE(box.cache.find_hot_tag(box.source(), "stable"));
    CHECK(box.upstreams.requests.size() == 1);
    // By digest it is here as well, and what it names may be fetched without a question of rights.
    auto by_digest = box.manifest_of(box.source(), "", digest_of(manifest));
    REQUIRE(by_digest);
    CHECK(by_digest->type() == image_manifest_type);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("cache: a tag whose upstream fails is served stale, from memory too, and every time it is counted") {
    Box box;
    auto source = box.source();
    (void)box.manifest_of(source, "latest");
    box.settle(source, manifest);
    TagRecord record;
    record.digest = digest_of(manifest);
    record.media_type = image_manifest_type;
    record.size = manifest.size();
    record.checked = wall_seconds() - 1000;
    // In a cache that forgot the tag.
    CacheTeam team;
    Cache other(team, *box.loop(), *box.tools, box.counters, Cache::Options{});
    team.members.push_back(&other);
    box.loop().run_until([&] { return box.store->ledger().find_tag(source.ledger_name, "latest").has_value(); });
    box.apply(PutTag{source.ledger_name, "latest", record});
    box.upstreams.answer = [](auto&) { return refusal(Code::bad_status, 500); };
    for (std::uint64_t count = 1; count <= 2; ++count) {
        auto answer = box.loop().run(other.open_manifest(source, "latest", Digest(), false));
        REQUIRE(answer);
        CHECK(answer->served == Served::stale);
        CHECK(answer->age_seconds >= 1000);
        CHECK(box.counters.stale_served.value() == count);
    }
    auto hot = other.find_hot_tag(source, "latest");
    REQUIRE(hot);
    CHECK(hot->served == Served::stale);
    CHECK(hot->age_seconds >= 1000);
    CHECK(box.counters.stale_served.value() == 3);
    box.loop().run(other.close());
}

TEST_CASE("cache: a damaged blob is served by nobody of the team any more") {
    Box box;
    SecondLoop second;
    (void)box.open(box.source(), layer);
    box.settle(box.source(), layer);
    REQUIRE(box.open(box.source(), layer));
    CacheCounters counters;
    std::unique_ptr<BufferPool> buffers;
    DigestLine digests;
    RecordsUnderWay records;
    std::optional<FetchTools> tools;
    std::unique_ptr<Cache> neighbour;
    auto make = [&] {
        buffers = std::make_unique<BufferPool>(second.loop().ring(), 2);
        tools.emplace(FetchTools{*box.store, box.upstreams, *buffers, digests, records, counters});
        neighbour = std::make_unique<Cache>(box.team, second.loop(), *tools, counters, Cache::Options{});
        return 0;
    };
    struct There {
        static Task<int> call(Loop& loop, const std::function<int()>& function) { co_return co_await call_on(loop, function); }
    };
    std::function<int()> making = make;
    (void)box.loop().run(There::call(second.loop(), making));
    auto members = box.team.members;
    // The digest stays ours: the neighbour asks us for it.
    box.team.members = {&box.cache};
    auto open_there = [&] { return neighbour->open_blob(box.source(), digest_of(layer)); };
    {
        auto opened = box.loop().run(second.run(open_there));
        REQUIRE(opened);
        CHECK(opened->served == Served::hit);
    }
    box.team.members = {&box.cache, neighbour.get()};
    box.loop().run(box.cache.report_damaged(digest_of(layer)));
    CHECK(box.troubles().quarantined == 1);
    CHECK(box.cache.find_hot(box.source(), digest_of(layer)) == nullptr);
    std::function<int()> find = [&] { return neighbour->find_hot(box.source(), digest_of(layer)) ? 1 : 0; };
    CHECK(box.loop().run(There::call(second.loop(), find)) == 0);
    box.team.members = members;
    auto close = [&] { return neighbour->close(); };
    (void)box.loop().run(second.run(close));
    std::function<int()> drop = [&] {
        neighbour.reset();
        buffers.reset();
        return 0;
    };
    (void)box.loop().run(There::call(second.loop(), drop));
}

TEST_CASE("cache: without a descriptor to open a stored blob it comes from upstream, and stays stored") {
    Box box;
    box.put(layer);
    box.apply(PutGrant{"", box.source().ledger_name, digest_of(layer)});
    box.troubles().refuse_open = Error{Fault::capacity, Code::busy, EMFILE};
    auto opened = box.open(box.source(), layer);
    REQUIRE(opened);
    CHECK(opened->served == Served::bypass);
    CHECK(opened->length == layer.size());
    CHECK(box.troubles().begun == 0);
    box.troubles().refuse_open.reset();
    opened = box.open(box.source(), layer);
    REQUIRE(opened);
    CHECK(opened->served == Served::hit);
}

TEST_CASE("cache: a full queue before upstream is the answer, not a reason to ask upstream past the store") {
    Box box;
    box.upstreams.answer = [](auto&) { return refusal(Code::busy, 0, Fault::capacity); };
    auto refused = box.open(box.source(), layer);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().error.code == Code::busy);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("cache: a length that upstream tells by no means is the manifest's, on the way past the store too") {
    Box box;
    box.upstreams.answer = [](auto& request) {
        auto offer = image_offer(request);
        offer.length_untold = true;
        return offer;
    };
    box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
    CHECK_FALSE(box.open(box.source(), layer));
    box.apply(PutGrant{"", box.source().ledger_name, digest_of(layer), layer.size()});
    auto bypass = box.open(box.source(), layer);
    REQUIRE(bypass);
    CHECK(bypass->served == Served::bypass);
    CHECK(bypass->length == layer.size());
}

TEST_CASE("cache: a document that drips holds no transfer buffer") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 5;
    box.upstreams.answer = [&](auto& request) {
        auto offer = request.kind == UpstreamKind::tags ? whole(R"({"tags":[]})", request) : image_offer(request);
        offer.gate = gate;
        return offer;
    };
    auto list = box.cache.ask_document(box.source(), UpstreamKind::tags, "tags/list", "", MiB);
    auto manifest = box.cache.open_manifest(box.source(), "latest", {}, false);
    box.loop().run_until([&] { return box.upstreams.open == 2; });
    box.loop().run_for(milliseconds(5));
    CHECK(box.buffers.out() == 0);
    gate->open_all();
    CHECK(box.loop().run(std::move(list)));
    CHECK(box.loop().run(std::move(manifest)));
}

TEST_CASE("cache: a manifest that is on its way as a blob is kept as a manifest once it is here") {
    Box box;
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 5;
    box.upstreams.answer = [&](auto& request) {
        if (request.kind != UpstreamKind::blob) return image_offer(request);
        auto offer = whole(manifest, request);
        offer.gate = gate;
        return offer;
    };
    {
        auto as_blob = box.open(box.source(), manifest);
        REQUIRE(as_blob);
        REQUIRE(box.manifest_of(box.source(), "latest"));
        CHECK_FALSE(box.store->ledger().find_manifest(digest_of(manifest)));
        gate->open_all();
    }
    box.loop().run_until([&] { return box.store->ledger().find_manifest(digest_of(manifest)).has_value(); });
    CHECK(box.granted(box.source(), digest_of(layer)));
}

TEST_CASE("cache: a document is read whole within its bound, and not beyond") {
    Box box;
    box.upstreams.answer = [](auto&) {
        Offer offer;
        offer.body = std::string(1000, 'x');
        offer.link = "</v2/x/tags/list?last=b>; rel=\"next\"";
        offer.piece_bytes = 100;
        return offer;
    };
    auto ask = [&](std::size_t bound) {
        return box.loop().run(box.cache.ask_document(box.source(), UpstreamKind::tags, "tags/list", "last=a", bound));
    };
    auto document = ask(1000);
    REQUIRE(document);
    CHECK(document->body == std::string(1000, 'x'));
    CHECK(document->link == "</v2/x/tags/list?last=b>; rel=\"next\"");
    CHECK(box.upstreams.requests[0].query == "last=a");
    document = ask(999);
    REQUIRE_FALSE(document);
    CHECK(document.error().error.code == Code::too_large);
    // Neither does it take a transfer buffer, nor wait for one.
    std::vector<Buffer> taken;
    while (auto buffer = box.buffers.try_take()) taken.push_back(std::move(buffer));
    CHECK(ask(1000));
}

}  // namespace entrepot
