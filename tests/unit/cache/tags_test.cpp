#include "entrepot/cache/tags.h"

#include "support/cache_box.h"

#include <fmt/format.h>

#include <set>

namespace entrepot {
namespace {

const std::string old_manifest = image_manifest(digest_of("{}"), digest_of("old")),
                  new_manifest = image_manifest(digest_of("{}"), digest_of("new"));

/// A repository upstream with one tag, which the test moves, holds or breaks.
struct TagsBox : FetchBox {
    TagsBox() {
        upstreams.answer = [this](auto& request) { return offer_of(request); };
    }
    ~TagsBox() { loop().run(tags.close()); }

    Offer offer_of(const UpstreamRequest& request) {
        if (request.head && head_refused) return *head_refused;
        if (refused) return *refused;
        Offer offer;
        offer.body = current;
        offer.content_type = image_manifest_type;
        offer.docker_content_digest = digest_of(current).text();
        offer.gate = gate;
        return offer;
    }
    /// The ledger knows the tag, as upstream told `ago`.
    void know(const std::string& manifest, Duration ago, const std::string& tag = "latest") {
        TagRecord record;
        record.digest = digest_of(manifest);
        record.media_type = image_manifest_type;
        record.size = manifest.size();
        record.checked = wall_seconds() - std::chrono::duration_cast<seconds>(ago).count();
        apply(PutTag{source().ledger_name, tag, record});
        apply(PutGrant{"", source().ledger_name, record.digest});
    }
    Fetched<TagAnswer> resolve(const std::string& tag = "latest") { return loop().run(tags.resolve(source(), tag)); }
    std::size_t heads() const { return upstreams.asked(UpstreamKind::manifest_head); }
    std::size_t gets() const { return upstreams.asked(UpstreamKind::manifest_get); }
    std::optional<TagRecord> recorded() { return store->ledger().find_tag(source().ledger_name, "latest"); }
    void until_recorded(const std::string& manifest) {
        loop().run_until([&] { return recorded() && recorded()->digest == digest_of(manifest); });
    }

    std::string current = old_manifest;
    std::optional<Offer> refused, head_refused;
    std::shared_ptr<FlowGate> gate;
    Manifests manifests{*tools};
    Tags tags{*tools, manifests,
              [this](Source source, ManifestContent content) { return manifests.keep(std::move(source), std::move(content)); }};
};

}  // namespace

TEST_CASE("tags: a fresh tag is answered without asking, for as long as it has left") {
    TagsBox box;
    box.know(old_manifest, seconds(20));
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::hit);
    CHECK(answer->record.digest == digest_of(old_manifest));
    CHECK(answer->fresh_for <= seconds(40));
    CHECK(answer->fresh_for > seconds(33));
    CHECK(box.upstreams.requests.empty());
}

TEST_CASE("tags: an unknown tag is fetched, its manifest kept, and known from then on") {
    TagsBox box;
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    REQUIRE(answer->fetched);
    CHECK(*answer->fetched->body == old_manifest);
    CHECK(box.gets() == 1);
    CHECK(box.heads() == 0);
    box.until_recorded(old_manifest);
    CHECK(box.granted(box.source(), digest_of(old_manifest)));
    answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::hit);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("tags: an old tag that did not move costs one HEAD and is fresh again") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    auto before = *box.recorded();
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::revalidated);
    CHECK(answer->fresh_for <= seconds(60));
    CHECK(answer->fresh_for > seconds(54));
    CHECK(box.heads() == 1);
    CHECK(box.gets() == 0);
    box.loop().run_until([&] { return box.recorded()->checked > before.checked; });
    CHECK(box.resolve()->served == Served::hit);
}

TEST_CASE("tags: an old tag that moved is fetched") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.current = new_manifest;
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    CHECK(answer->record.digest == digest_of(new_manifest));
    CHECK(box.heads() == 1);
    CHECK(box.gets() == 1);
    box.until_recorded(new_manifest);
}

TEST_CASE("tags: a registry that knows no HEAD is asked for the manifest itself") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.head_refused = refusal(Code::bad_status, 405);
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    CHECK(box.gets() == 1);
}

TEST_CASE("tags: a tag that was checked in the future is asked again") {
    TagsBox box;
    box.know(old_manifest, -std::chrono::hours(24 * 365));
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::revalidated);
    CHECK(answer->record.checked <= wall_seconds());
}

TEST_CASE("tags: a hundred who wait for a tag share one question") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    std::vector<Task<Fetched<TagAnswer>>> waiting;
    for (int i = 0; i < 100; ++i) waiting.push_back(box.tags.resolve(box.source(), "latest"));
    box.loop().run_until([&] { return box.upstreams.requests.size() == 1; });
    box.gate->open_all();
    for (auto& task : waiting) {
        auto answer = box.loop().run(std::move(task));
        REQUIRE(answer);
        CHECK(answer->served == Served::revalidated);
    }
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("tags: what upstream cannot say is answered stale, and it is not asked again for a while") {
    struct Row {
        Code code;
        int status;
        Fault fault = Fault::upstream;
    };
    for (auto row : {Row{Code::bad_status, 500}, Row{Code::bad_status, 503}, Row{Code::too_many_requests, 429},
                     Row{Code::timeout, 0}, Row{Code::refused, 0}, Row{Code::name_unresolved, 0}, Row{Code::reset, 0},
                     Row{Code::tls_certificate, 0}, Row{Code::busy, 0, Fault::capacity}}) {
        CAPTURE(name_of(row.code));
        TagsBox box;
        box.know(old_manifest, seconds(100));
        box.refused = refusal(row.code, row.status, row.fault);
        auto answer = box.resolve();
        REQUIRE(answer);
        CHECK(answer->served == Served::stale);
        CHECK(answer->record.digest == digest_of(old_manifest));
        CHECK(answer->fresh_for >= Tags::retry_pause);
        CHECK(answer->fresh_for <= Tags::retry_pause * 5 / 4);
        auto asked = box.upstreams.requests.size();
        answer = box.resolve();
        REQUIRE(answer);
        CHECK(answer->served == Served::stale);
        CHECK(answer->fresh_for <= Tags::retry_pause * 5 / 4);
        CHECK(box.upstreams.requests.size() == asked);
    }
}

TEST_CASE("tags: a pause that upstream asks for is kept") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.refused = refusal(Code::too_many_requests, 429);
    box.refused->failure->retry_after = seconds(300);
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->fresh_for >= seconds(300));
}

TEST_CASE("tags: what upstream denies is denied, though an old answer is here") {
    for (auto [code, status] : {std::pair{Code::not_found, 404}, {Code::unauthorized, 401}, {Code::denied, 403}}) {
        CAPTURE(status);
        TagsBox box;
        box.know(old_manifest, seconds(100));
        box.refused = refusal(code, status);
        auto answer = box.resolve();
        REQUIRE_FALSE(answer);
        CHECK(answer.error().error.code == code);
        box.loop().run(box.tags.close());
        // Only a 404 says that the tag is gone; the others may be our own fault.
        CHECK(box.recorded().has_value() == (code != Code::not_found));
    }
}

TEST_CASE("tags: a rule may keep an old answer that upstream denies, each kind of denial by its own word") {
    for (auto [code, status] : {std::pair{Code::not_found, 404}, {Code::unauthorized, 401}, {Code::denied, 403}}) {
        for (bool if_missing : {false, true}) {
            CAPTURE(status);
            CAPTURE(if_missing);
            TagsBox box;
            box.know(old_manifest, seconds(100));
            box.refused = refusal(code, status);
            auto source = box.source();
            (if_missing ? source.stale.missing : source.stale.denied) = StalePolicy::forever;
            auto answer = box.loop().run(box.tags.resolve(source, "latest"));
            bool kept = if_missing == (code == Code::not_found);
            REQUIRE(answer.has_value() == kept);
            if (kept) CHECK(answer->served == Served::stale);
        }
    }
}

TEST_CASE(
    "tags: each class of failure lets an old answer stand for as long as the rule says, and then the failure is the answer") {
    struct Row {
        Code code;
        int status;
        Fault fault;
        Duration StalePolicy::*limit;
    };
    for (auto row : {Row{Code::refused, 0, Fault::upstream, &StalePolicy::network},
                     Row{Code::timeout, 0, Fault::upstream, &StalePolicy::network},
                     Row{Code::bad_status, 500, Fault::upstream, &StalePolicy::server_error},
                     Row{Code::bad_status, 503, Fault::upstream, &StalePolicy::server_error},
                     Row{Code::too_many_requests, 429, Fault::upstream, &StalePolicy::rate_limit},
                     Row{Code::busy, 0, Fault::capacity, &StalePolicy::rate_limit},
                     Row{Code::unauthorized, 401, Fault::upstream, &StalePolicy::denied},
                     Row{Code::denied, 403, Fault::upstream, &StalePolicy::denied},
                     Row{Code::not_found, 404, Fault::upstream, &StalePolicy::missing}}) {
        for (auto [limit, served] : {std::pair(Duration(0), false),
                                     {Duration(seconds(90)), false},
                                     {Duration(seconds(105)), true},
                                     {StalePolicy::forever, true}}) {
            CAPTURE(name_of(row.code));
            CAPTURE(limit.count());
            TagsBox box;
            box.know(old_manifest, seconds(100));
            box.refused = refusal(row.code, row.status, row.fault);
            auto source = box.source();
            for (auto member : {&StalePolicy::network, &StalePolicy::server_error, &StalePolicy::rate_limit, &StalePolicy::denied,
                                &StalePolicy::missing})
                source.stale.*member = served ? Duration(0) : StalePolicy::forever;  // the others do not count
            source.stale.*row.limit = limit;
            auto answer = box.loop().run(box.tags.resolve(source, "latest"));
            REQUIRE(answer.has_value() == served);
            if (!served) {
                CHECK(answer.error().error.code == row.code);
                continue;
            }
            CHECK(answer->served == Served::stale);
            if (limit != StalePolicy::forever)
                CHECK(answer->fresh_for <= seconds(5));  // not beyond the limit, whatever the pause
        }
    }
}

TEST_CASE("tags: two rules over one source share the question, and each makes of the answer what it may") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.refused = refusal(Code::bad_status, 500);
    box.refused->gate = box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    auto strict = box.source(), lenient = box.source();
    strict.stale.server_error = Duration(0);
    auto first = box.tags.resolve(strict, "latest"), second = box.tags.resolve(lenient, "latest");
    box.loop().run_until([&] { return box.upstreams.requests.size() == 1; });
    box.gate->open_all();
    auto refused = box.loop().run(std::move(first));
    auto served = box.loop().run(std::move(second));
    CHECK_FALSE(refused);
    REQUIRE(served);
    CHECK(served->served == Served::stale);
    CHECK(box.upstreams.requests.size() == 1);
    // In the pause the lenient one asks nobody; the strict one gets no old answer from it.
    CHECK(box.loop().run(box.tags.resolve(lenient, "latest")));
    CHECK(box.upstreams.requests.size() == 1);
    CHECK_FALSE(box.loop().run(box.tags.resolve(strict, "latest")));
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("tags: whose rule allows no old answer waits for a mute upstream as long as it takes") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    auto source = box.source();
    source.stale.network = Duration(0);
    auto waiting = box.tags.resolve(source, "latest");
    auto begun = now();
    box.loop().run_until([&] { return now() - begun > Tags::revalidation_wait * 5 / 4; });
    CHECK_FALSE(waiting.done());
    box.gate->open_all();
    auto answer = box.loop().run(std::move(waiting));
    REQUIRE(answer);
    CHECK(answer->served == Served::revalidated);
}

TEST_CASE("tags: what must be known now is asked, fresh or not, joins a running question, and is never stale") {
    TagsBox box;
    box.know(old_manifest, seconds(1));
    auto answer = box.loop().run(box.tags.refresh_now(box.source(), "latest"));
    REQUIRE(answer);
    CHECK(answer->served == Served::revalidated);
    CHECK(box.heads() == 1);
    box.loop().run(box.tags.close());
    box.current = new_manifest;
    box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    auto first = box.tags.refresh_now(box.source(), "latest"), second = box.tags.refresh_now(box.source(), "latest");
    box.loop().run_until([&] { return box.upstreams.requests.size() == 2; });
    box.gate->open_all();
    for (auto* task : {&first, &second}) {
        auto told = box.loop().run(std::move(*task));
        REQUIRE(told);
        CHECK(told->record.digest == digest_of(new_manifest));
    }
    CHECK(box.heads() == 2);
    CHECK(box.gets() == 1);
    auto after = box.resolve();  // young enough before, and yet the new one now
    REQUIRE(after);
    CHECK(after->record.digest == digest_of(new_manifest));
    box.gate.reset();
    box.refused = refusal(Code::bad_status, 500);
    CHECK_FALSE(box.loop().run(box.tags.refresh_now(box.source(), "latest")));
}

TEST_CASE("tags: a failure to answer is not remembered for a tag that nobody knew") {
    TagsBox box;
    box.refused = refusal(Code::bad_status, 502);
    CHECK_FALSE(box.resolve());
    CHECK_FALSE(box.resolve());
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("tags: a 404 is remembered for a while, for its repository alone") {
    TagsBox box;
    box.refused = refusal(Code::not_found, 404);
    CHECK_FALSE(box.resolve());
    CHECK_FALSE(box.resolve());
    CHECK(box.upstreams.requests.size() == 1);
    auto other = box.loop().run(box.tags.resolve(box.source("library/other"), "latest"));
    CHECK_FALSE(other);
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("tags: a tag whose manifest another repository brought is not known to this one") {
    TagsBox box;
    TagRecord record;
    record.digest = digest_of(new_manifest);
    record.checked = wall_seconds();
    box.apply(PutTag{box.source().ledger_name, "latest", record});
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    CHECK(answer->record.digest == digest_of(old_manifest));
}

TEST_CASE(
    "tags: with next to nothing left of the rate limit what is here is served stale unasked, and what is not is asked for") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.upstreams.spares = false;
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::stale);
    CHECK(answer->fresh_for >= Tags::retry_pause);
    CHECK(box.upstreams.requests.empty());
    answer = box.resolve("unknown");
    REQUIRE(answer);
    CHECK(answer->served == Served::fetch);
    CHECK(box.gets() == 1);
}

TEST_CASE("tags: after a restart ten thousand old tags are asked for few at a time, and nobody waits longer for it") {
    constexpr int count = 10'000;
    TagsBox box;
    std::vector<LedgerChange> changes;
    TagRecord record;
    record.digest = digest_of(old_manifest);
    record.checked = wall_seconds() - 3600;
    for (int i = 0; i < count; ++i) changes.push_back(PutTag{box.source().ledger_name, fmt::format("t{}", i), record});
    changes.push_back(PutGrant{"", box.source().ledger_name, record.digest});
    REQUIRE(box.loop().run(box.store->ledger().apply(std::move(changes))));
    box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    std::vector<Task<Fetched<TagAnswer>>> waiting;
    auto source = box.source();
    for (int i = 0; i < count; ++i) {
        source.client = static_cast<ClientKey>(i);
        waiting.push_back(box.tags.resolve(source, fmt::format("t{}", i)));
    }
    auto done = [&] { return std::all_of(waiting.begin(), waiting.end(), [](auto& task) { return task.done(); }); };
    auto begun = now();
    box.loop().run_until(done);
    CHECK(now() - begun < Tags::revalidation_wait * 2);
    CHECK(box.upstreams.requests.size() == Tags::revalidations_max);
    std::size_t again_early = 0, again_late = 0;
    for (auto& task : waiting) {
        auto answer = task.await_resume();
        REQUIRE(answer);
        CHECK(answer->served == Served::stale);
        if (answer->fresh_for == Duration(0)) continue;  // its turn came, the answer did not
        ++(answer->fresh_for < Tags::retry_pause * 9 / 8 ? again_early : again_late);
    }
    // They do not come back together.
    CHECK(again_early > count / 4);
    CHECK(again_late > count / 4);
    // What nobody has is not behind them.
    auto cold = box.tags.resolve(box.source("library/other"), "latest");
    box.loop().run_until([&] { return box.gets() == 1; });
    box.gate->open_all();
    CHECK(box.loop().run(std::move(cold)));
}

TEST_CASE("tags: those that came together do not grow old together") {
    TagsBox box;
    std::set<Duration> lives;
    for (int i = 0; i < 50; ++i) {
        auto tag = fmt::format("t{}", i);
        box.know(old_manifest, seconds(0), tag);
        auto answer = box.resolve(tag);
        REQUIRE(answer);
        REQUIRE(answer->served == Served::hit);
        CHECK(answer->fresh_for > seconds(52));  // of 60; the clock that counts has whole seconds
        lives.insert(answer->fresh_for);
    }
    CHECK(lives.size() > 40);
}

TEST_CASE("tags: names that do not exist cost bounded memory, and what is known stays known") {
    TagsBox box;
    box.know(old_manifest, seconds(0));
    box.refused = refusal(Code::not_found, 404);
    for (std::size_t i = 0; i < Tags::missing_max + 10; ++i) REQUIRE_FALSE(box.resolve(fmt::format("x{}", i)));
    auto asked = box.upstreams.requests.size();
    CHECK(asked == Tags::missing_max + 10);
    CHECK_FALSE(box.resolve(fmt::format("x{}", Tags::missing_max + 9)));
    CHECK(box.upstreams.requests.size() == asked);  // remembered
    CHECK_FALSE(box.resolve("x0"));
    CHECK(box.upstreams.requests.size() == asked + 1);  // forgotten at the bound
    CHECK(box.resolve()->served == Served::hit);
}

TEST_CASE("tags: a mute upstream holds up the askers of its first second only; the answer that comes at last counts") {
    TagsBox box;
    box.know(old_manifest, seconds(100));
    box.gate = std::make_shared<FlowGate>();
    box.gate->open_head = false;
    box.current = new_manifest;
    auto begun = now();
    auto answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::stale);
    CHECK(answer->fresh_for == Duration(0));  // the next asker looks again
    CHECK(now() - begun >= Tags::revalidation_wait);
    begun = now();
    answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->served == Served::stale);
    CHECK(now() - begun < Tags::revalidation_wait / 2);
    CHECK(box.upstreams.requests.size() == 1);
    box.gate->open_all();
    box.until_recorded(new_manifest);
    answer = box.resolve();
    REQUIRE(answer);
    CHECK(answer->record.digest == digest_of(new_manifest));
}

}  // namespace entrepot
