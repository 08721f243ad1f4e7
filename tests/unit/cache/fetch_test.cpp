#include "entrepot/cache/fetch.h"

#include "support/cache_box.h"
#include "support/second_loop.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace entrepot {
namespace {

constexpr auto held_back = withheld_bytes;

/// One fetch that runs on the box's loop until its followers have left.
class RunningFetch {
  public:
    RunningFetch(FetchBox& box, const Digest& digest, Source source) : box_(box), fetch_(*box.tools, digest, std::move(source)) {}
    ~RunningFetch() {
        followers.clear();
        box_.loop().finish(running_);
    }

    Follower& follow() {
        followers.push_back(std::make_unique<Follower>(fetch_.subscribe(*box_.loop())));
        return *followers.back();
    }
    void start() { running_.start(run()); }
    void until(const std::function<bool()>& reached) { box_.loop().run_until(reached); }
    void until_ended() {
        until([this] { return ended; });
    }
    /// From its beginning to its end, in the eyes of a follower.
    Follower& follow_to_the_end() {
        auto& follower = follow();
        start();
        until_ended();
        return follower;
    }
    Fetch& operator*() { return fetch_; }

    bool ended = false;  // nobody may join any more
    std::vector<std::unique_ptr<Follower>> followers;

  private:
    Task<void> run() {
        auto note = [this](Fetch&) { ended = true; };
        auto running = fetch_.run(note);
        co_await running;
    }
    FetchBox& box_;
    Fetch fetch_;
    TaskGroup running_;
};

std::string file_bytes(const Follower& follower, std::uint64_t bytes) {
    std::string text(bytes, '\0');
    auto got = ::pread(follower.progress().file, text.data(), bytes, 0);
    REQUIRE(got == static_cast<ssize_t>(bytes));
    return text;
}

void check_complete(const Follower& follower, const std::string& blob) {
    CHECK(follower.state() == FetchState::complete);
    CHECK(file_bytes(follower, blob.size()) == blob);
}

}  // namespace

TEST_CASE("fetch: a blob arrives, is stored, and its source is granted it") {
    FetchBox box;
    auto blob = content(700'000);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::complete);
    CHECK(follower.available() == blob.size());
    CHECK(follower.progress().length == blob.size());
    CHECK(file_bytes(follower, blob.size()) == blob);
    CHECK(box.box.has(digest_of(blob)));
    CHECK(box.granted(box.source(), digest_of(blob)));
    CHECK_FALSE(box.granted(box.source("library/other"), digest_of(blob)));
    CHECK(box.counters.fetches_stored.value() == 1);
    REQUIRE(box.upstreams.requests.size() == 1);
    CHECK(box.upstreams.requests[0].resource == "blobs/" + digest_of(blob).text());
    CHECK(box.upstreams.requests[0].range_from == 0);
}

TEST_CASE("fetch: followers see bytes while upstream holds the rest, never the last 64 KiB before the digest matched") {
    FetchBox box;
    auto blob = content(1'000'000);
    auto gate = std::make_shared<FlowGate>();
    box.upstreams.answer = gated(blob, gate);
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    fetch.until([&] { return follower.state() == FetchState::streaming; });
    CHECK(follower.progress().length == blob.size());
    CHECK(follower.available() == 0);

    gate->open_to(300'000);
    fetch.until([&] { return follower.available() == 300'000; });
    CHECK(file_bytes(follower, 300'000) == blob.substr(0, 300'000));

    gate->open_to(blob.size() - 1);
    fetch.until([&] { return follower.available() == blob.size() - held_back; });
    box.loop().run_for(milliseconds(30));
    CHECK(follower.available() == blob.size() - held_back);
    CHECK(follower.state() == FetchState::streaming);

    gate->open_all();
    fetch.until_ended();
    CHECK(follower.available() == blob.size());
}

TEST_CASE(
    "fetch: two at once are hashed side by side; the one that breaks off and the one with a wrong byte do the others no harm") {
    FetchBox box;
    const std::string wanted[] = {content(3'000'000), content(2'999'999), content(700'001)};
    box.upstreams.answer = [&](auto& request) {
        auto same = [&](const std::string& blob) { return request.resource.ends_with(digest_of(blob).text()); };
        auto blob = *std::find_if(std::begin(wanted), std::end(wanted), same);
        if (blob.size() == 2'999'999) blob[1'234'567] ^= 1;
        auto offer = whole(blob, request);
        if (blob.size() == 700'001 && request.range_from == 0) offer.breaks_after = 300'003;
        return offer;
    };
    std::vector<std::unique_ptr<RunningFetch>> fetches;
    for (auto& blob : wanted) {
        fetches.push_back(std::make_unique<RunningFetch>(box, digest_of(blob), box.source()));
        fetches.back()->follow();
    }
    for (auto& fetch : fetches) fetch->start();
    for (auto& fetch : fetches) fetch->until_ended();
    CHECK(box.digests.counts().paired_bytes > 0);
    CHECK((**fetches[0]).state() == FetchState::complete);
    CHECK((**fetches[1]).state() == FetchState::failed);
    CHECK((**fetches[2]).state() == FetchState::complete);
    CHECK(box.counters.digest_mismatches.value() == 1);
    CHECK(box.counters.resumes.value() == 1);
    CHECK(box.box.has(digest_of(wanted[0])));
    CHECK_FALSE(box.box.has(digest_of(wanted[1])));
    CHECK(box.box.has(digest_of(wanted[2])));
}

TEST_CASE("fetch: many downloads that trickle in share few buffers") {
    constexpr std::size_t downloads = 12;
    FetchBox box(2);
    auto gate = std::make_shared<FlowGate>();
    std::vector<std::string> blobs;
    for (unsigned i = 0; i < downloads; ++i) blobs.push_back(content(200'000 + i));
    box.upstreams.answer = [&](auto& request) {
        auto same = [&](const std::string& blob) { return request.resource.ends_with(digest_of(blob).text()); };
        auto offer = whole(*std::find_if(blobs.begin(), blobs.end(), same), request);
        offer.gate = gate;
        return offer;
    };
    std::vector<std::unique_ptr<RunningFetch>> fetches;
    for (auto& blob : blobs) {
        fetches.push_back(std::make_unique<RunningFetch>(box, digest_of(blob), box.source()));
        fetches.back()->follow();
        fetches.back()->start();
    }
    // All of them get on at every step, and none keeps a buffer while upstream is silent.
    for (std::size_t open : {1'000u, 50'000u, 100'000u}) {
        gate->open_to(open);
        for (auto& fetch : fetches) fetch->until([&] { return fetch->followers[0]->available() == open; });
        CHECK(box.buffers.out() == 0);
    }
    gate->open_all();
    for (auto& fetch : fetches) fetch->until_ended();
    for (auto& blob : blobs) CHECK(box.box.has(digest_of(blob)));
}

TEST_CASE("fetch: a follower that waits can be given less patience, for that wait alone") {
    FetchBox box;
    auto blob = content(500'000);
    auto gate = std::make_shared<FlowGate>();
    box.upstreams.answer = gated(blob, gate);
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    auto& other = fetch.follow();
    fetch.start();
    fetch.until([&] { return follower.state() == FetchState::streaming; });
    follower.hasten(now());  // does not wait yet
    auto waiting = follower.until_beyond(0, soon_enough()), another = other.until_beyond(0, soon_enough());
    follower.hasten(now() + milliseconds(2));
    auto outcome = box.loop().run(std::move(waiting));
    REQUIRE(!outcome);
    CHECK(outcome.error().code == Code::timeout);
    CHECK_FALSE(another.done());
    auto again = follower.until_beyond(0, soon_enough());
    gate->open_all();
    CHECK(box.loop().run(std::move(again)));
    CHECK(box.loop().run(std::move(another)));
    fetch.until_ended();
}

TEST_CASE("fetch: a blob of 64 KiB or less is not seen before its digest matched") {
    FetchBox box;
    auto blob = content(held_back);
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = blob.size() - 1;
    box.upstreams.answer = gated(blob, gate);
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    box.loop().run_for(milliseconds(30));
    CHECK(follower.state() == FetchState::streaming);
    CHECK(follower.available() == 0);
    gate->open_all();
    fetch.until_ended();
    CHECK(follower.available() == blob.size());
}

TEST_CASE("fetch: wrong bytes fail the fetch, keep their last 64 KiB, and leave nothing behind") {
    FetchBox box;
    auto blob = content(600'000), wrong = blob;
    wrong.back() ^= 1;
    box.upstreams.answer = [&](auto& request) { return whole(wrong, request); };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::failed);
    CHECK(follower.progress().failure.error.code == Code::wrong_digest);
    CHECK(follower.progress().failure.error.fault == Fault::upstream);
    CHECK(follower.available() <= wrong.size() - held_back);
    CHECK(box.counters.digest_mismatches.value() == 1);
    CHECK(box.counters.fetches_failed.value() == 1);
    CHECK_FALSE(box.box.has(digest_of(blob)));
    CHECK_FALSE(box.granted(box.source(), digest_of(blob)));
    CHECK(box.troubles().abandoned_dropped == 1);
    CHECK(box.store->partial_bytes(digest_of(blob)) == 0);
}

TEST_CASE("fetch: what a body holds beyond its promised length is not taken, and the end is asked for again") {
    FetchBox box;
    auto blob = content(300'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        if (request.range_from == 0) offer.body += std::string(1000, 'x');
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.progress().length == blob.size());
    CHECK(follower.available() == blob.size());
    CHECK(file_bytes(follower, blob.size()) == blob);
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("fetch: a broken transfer goes on with Range from the byte that is missing") {
    FetchBox box;
    auto blob = content(900'000);
    std::vector<std::size_t> breaks{250'000, 1, 400'000};
    box.upstreams.answer = [&, next = std::size_t{0}](auto& request) mutable {
        auto offer = whole(blob, request);
        if (next < breaks.size()) offer.breaks_after = breaks[next++];
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    check_complete(follower, blob);
    REQUIRE(box.upstreams.requests.size() == 4);
    CHECK(box.upstreams.requests[1].range_from == 250'000);
    CHECK(box.upstreams.requests[2].range_from == 250'001);
    CHECK(box.upstreams.requests[3].range_from == 650'001);
    CHECK(box.counters.resumes.value() == 3);
}

TEST_CASE("fetch: an upstream that ignores the range is read past what is known already") {
    FetchBox box;
    auto blob = content(600'000);
    box.upstreams.answer = [&](auto& request) {
        Offer offer;
        offer.body = blob;
        if (request.range_from == 0) offer.breaks_after = 300'000;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    check_complete(follower, blob);
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("fetch: another range than the one that was asked for fails the fetch") {
    FetchBox box;
    auto blob = content(600'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        if (request.range_from == 0) offer.breaks_after = 300'000;
        else offer.range_start -= 10;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::failed);
    CHECK(follower.progress().failure.error.code == Code::bad_message);
}

TEST_CASE("fetch: an upstream that changes the length in the middle fails the fetch") {
    FetchBox box;
    auto blob = content(600'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        if (request.range_from == 0) offer.breaks_after = 300'000;
        else offer.total = blob.size() + 1;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.progress().failure.error.code == Code::wrong_length);
}

TEST_CASE("fetch: after five breaks in a row without a byte the fetch gives up and keeps what it has for later") {
    FetchBox box;
    auto blob = content(900'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.breaks_after = request.range_from == 0 ? 600'000 : 0;
        return offer;
    };
    {
        RunningFetch fetch(box, digest_of(blob), box.source());
        auto& follower = fetch.follow_to_the_end();
        CHECK(follower.state() == FetchState::failed);
        CHECK(follower.progress().failure.error.code == Code::wrong_length);
    }
    CHECK(box.upstreams.requests.size() == 1 + 6);
    CHECK(box.troubles().abandoned_kept == 1);
    // The next fetch begins at a chunk's end that the store trusts.
    box.upstreams.requests.clear();
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    RunningFetch again(box, digest_of(blob), box.source());
    auto& follower = again.follow_to_the_end();
    check_complete(follower, blob);
    REQUIRE(box.upstreams.requests.size() == 1);
    CHECK(box.upstreams.requests[0].range_from > 0);
    CHECK(box.upstreams.requests[0].range_from % chunk_bytes == 0);
}

TEST_CASE("fetch: a kept beginning that is longer than upstream's blob does not poison later fetches") {
    FetchBox box;
    auto blob = content(300'000), garbage = content(900'000, 2);
    auto offered = garbage;
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(offered, request);
        if (request.range_from == 0 && offered == garbage) offer.breaks_after = 800'000;
        else if (offered == garbage) return refusal(Code::not_found, 404);
        return offer;
    };
    auto run = [&] {
        RunningFetch fetch(box, digest_of(blob), box.source());
        auto& follower = fetch.follow_to_the_end();
        return follower.state();
    };
    CHECK(run() == FetchState::failed);
    CHECK(box.store->partial_bytes(digest_of(blob)) > blob.size());
    offered = blob;
    CHECK(run() == FetchState::failed);  // 416
    CHECK(box.store->partial_bytes(digest_of(blob)) == 0);
    CHECK(run() == FetchState::complete);
}

TEST_CASE("fetch: a refusal in the middle that will not change ends the fetch at once, with its own reason") {
    for (auto code : {Code::not_found, Code::denied, Code::unauthorized}) {
        FetchBox box;
        auto blob = content(600'000);
        box.upstreams.answer = [&](auto& request) {
            auto offer = whole(blob, request);
            offer.breaks_after = 300'000;
            return request.range_from == 0 ? offer : refusal(code, 403);
        };
        RunningFetch fetch(box, digest_of(blob), box.source());
        auto& follower = fetch.follow_to_the_end();
        CHECK(follower.progress().failure.error.code == code);
        CHECK(box.upstreams.requests.size() == 2);
    }
}

TEST_CASE("fetch: at shutdown a resume is not tried again and again") {
    FetchBox box;
    auto blob = content(600'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.breaks_after = 300'000;
        box.upstreams.interrupted = true;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.progress().failure.error.fault == Fault::shutdown);
    CHECK(box.upstreams.requests.size() == 2);
}

TEST_CASE("fetch: without a length every byte may be the last, and followers learn the length at the end") {
    FetchBox box;
    auto blob = content(500'000);
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 400'000;
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.length_untold = true;
        offer.gate = gate;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    auto waiting = follower.until_length_known(soon_enough());
    fetch.until([&] { return follower.available() >= 400'000 - held_back; });
    box.loop().run_for(milliseconds(30));
    CHECK(follower.available() == 400'000 - held_back);
    CHECK(follower.progress().length == length_unknown);
    CHECK_FALSE(waiting.done());
    gate->open_all();
    auto known = box.loop().run(std::move(waiting));
    CHECK(known);
    CHECK(follower.progress().length == blob.size());
    CHECK(follower.state() == FetchState::complete);
    fetch.until_ended();
}

TEST_CASE("fetch: when upstream tells no length the manifest's is good enough to begin, and the last 64 KiB are held back") {
    FetchBox box;
    auto blob = content(500'000);
    box.apply(PutGrant{"", box.source().ledger_name, digest_of(blob), blob.size()});
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 490'000;
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.length_untold = true;
        offer.gate = gate;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    auto known = box.loop().run(follower.until_length_known(soon_enough()));
    CHECK(known);
    CHECK(follower.progress().length == blob.size());
    fetch.until([&] { return follower.available() == blob.size() - held_back; });
    box.loop().run_for(milliseconds(30));
    CHECK(follower.available() == blob.size() - held_back);
    gate->open_all();
    fetch.until_ended();
    CHECK(follower.state() == FetchState::complete);
    CHECK(box.box.has(digest_of(blob)));
}

TEST_CASE("fetch: a manifest that lies about a length makes no complete answer, and is not believed again") {
    for (std::int64_t lie : {-100'000, -1, 1, 100'000}) {
        CAPTURE(lie);
        FetchBox box;
        auto blob = content(500'000);
        auto claim = static_cast<std::uint64_t>(static_cast<std::int64_t>(blob.size()) + lie);
        box.apply(PutGrant{"", box.source().ledger_name, digest_of(blob), claim});
        box.upstreams.answer = [&](auto& request) {
            auto offer = whole(blob, request);
            offer.length_untold = true;
            return offer;
        };
        {
            RunningFetch fetch(box, digest_of(blob), box.source());
            auto& follower = fetch.follow_to_the_end();
            CHECK(follower.state() == FetchState::failed);
            CHECK(follower.progress().length == claim);
            CHECK(follower.available() <= claim - held_back);
        }
        CHECK_FALSE(box.box.has(digest_of(blob)));
        RunningFetch again(box, digest_of(blob), box.source());
        auto& follower = again.follow_to_the_end();
        CHECK(follower.state() == FetchState::complete);
        CHECK(follower.progress().length == blob.size());
        CHECK(box.box.has(digest_of(blob)));
    }
}

TEST_CASE("fetch: a manifest's length that is less than what is kept already is not believed") {
    FetchBox box;
    auto blob = content(5 * chunk_bytes);
    {
        Digester digester(DigestAlgorithm::sha256);
        auto writer = box.loop().run(box.store->begin(digest_of(blob), std::nullopt, digester));
        REQUIRE(writer);
        for (int chunk = 0; chunk < 4; ++chunk) {
            auto bytes = bytes_of(blob).subspan(static_cast<std::size_t>(chunk) * chunk_bytes, chunk_bytes);
            REQUIRE(box.loop().run((*writer)->append(bytes, -1)));
        }
        box.loop().run((*writer)->abandon(true));
    }
    REQUIRE(box.store->partial_bytes(digest_of(blob)) == 3 * chunk_bytes);
    box.apply(PutGrant{"", box.source().ledger_name, digest_of(blob), chunk_bytes});
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.length_untold = true;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::complete);
    CHECK(follower.progress().length == blob.size());
    CHECK(box.upstreams.requests[0].range_from == 3 * chunk_bytes);
}

TEST_CASE("fetch: a body without a length that lacks only its end mark is whole when its digest matches") {
    FetchBox box;
    auto blob = content(500'000);
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        if (offer.failure) return offer;
        offer.length_untold = true;
        offer.breaks_after = blob.size();
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::complete);
    CHECK(box.upstreams.requests.size() == 1);
}

TEST_CASE("fetch: a store without room fails the fetch as capacity, before any byte was asked to be kept") {
    FetchBox box;
    auto blob = content(500'000);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    box.troubles().refuse_begin = Error{Fault::capacity, Code::no_space};
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::failed);
    CHECK(follower.progress().failure.error == Error{Fault::capacity, Code::no_space});
    CHECK(follower.available() == 0);
}

TEST_CASE("fetch: while the store takes nothing upstream is not asked in vain") {
    FetchBox box;
    auto blob = content(500'000);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    box.troubles().takes_blobs = false;
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::failed);
    CHECK(follower.progress().failure.error.fault == Fault::storage);
    CHECK(box.upstreams.requests.empty());
    CHECK(box.troubles().begun == 0);
}

TEST_CASE("fetch: a disk that fails in the middle fails the fetch as storage; what followers saw stays readable") {
    FetchBox box;
    auto blob = content(900'000);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    box.troubles().append_bytes_max = 600'000;
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    CHECK(follower.state() == FetchState::failed);
    CHECK(follower.progress().failure.error.fault == Fault::storage);
    auto available = follower.available();
    CHECK(available >= chunk_bytes);
    CHECK(available <= 600'000);
    CHECK(file_bytes(follower, available) == blob.substr(0, available));
}

TEST_CASE("fetch: a blob that cannot be published was still delivered whole") {
    FetchBox box;
    auto blob = content(500'000);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    box.troubles().refuse_publish = Error{Fault::storage, Code::io_failed, 5};
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow_to_the_end();
    check_complete(follower, blob);
    CHECK(box.counters.fetches_unstored.value() == 1);
    CHECK_FALSE(box.granted(box.source(), digest_of(blob)));
}

TEST_CASE("fetch: a follower that leaves early stops nobody, and without followers the blob is stored all the same") {
    FetchBox box;
    auto blob = content(700'000);
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 300'000;
    box.upstreams.answer = gated(blob, gate);
    RunningFetch fetch(box, digest_of(blob), box.source());
    fetch.follow();
    auto& stays = fetch.follow();
    fetch.start();
    fetch.until([&] { return stays.available() == 300'000; });
    CHECK(stays.progress().followers == 2);
    fetch.followers.erase(fetch.followers.begin());
    CHECK(fetch.followers.front()->progress().followers == 1);
    fetch.followers.clear();
    gate->open_all();
    fetch.until_ended();
    CHECK(box.box.has(digest_of(blob)));
}

TEST_CASE("fetch: a follower's wait ends at its deadline when upstream is silent") {
    FetchBox box;
    auto blob = content(700'000);
    auto gate = std::make_shared<FlowGate>();
    gate->open_head = false;
    box.upstreams.answer = gated(blob, gate);
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    auto known = box.loop().run(follower.until_length_known(now() + milliseconds(20)));
    REQUIRE_FALSE(known);
    CHECK(known.error().code == Code::timeout);
    gate->open_to(100);
    known = box.loop().run(follower.until_length_known(soon_enough()));
    CHECK(known);
    auto beyond = box.loop().run(follower.until_beyond(100, now() + milliseconds(20)));
    REQUIRE_FALSE(beyond);
    CHECK(beyond.error().code == Code::timeout);
    gate->open_all();
    fetch.until_ended();
}

TEST_CASE("fetch: a lone follower gets the bytes out of their buffers, and the page cache stays as it was") {
    auto disk = ScratchDirectory::on_disk();
    FetchBox box(8, 16 * MiB, disk.path() + "/store");
    auto blob = content(6 * MiB + 777);
    box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& follower = fetch.follow();
    fetch.start();
    std::string got;
    std::uint64_t out_of_buffers = 0;
    while (got.size() < blob.size()) {
        fetch.until([&] { return follower.available() > got.size(); });
        auto part = std::min<std::uint64_t>(chunk_bytes, follower.available() - got.size());
        if (auto recent = follower.recent(got.size())) {
            auto bytes = recent.bytes().first(std::min<std::uint64_t>(recent.bytes().size(), part));
            got += text_of(bytes);
            out_of_buffers += bytes.size();
        } else {
            std::string read(part, '\0');
            REQUIRE(::pread(follower.progress().file, read.data(), part, static_cast<off_t>(got.size())) ==
                    static_cast<ssize_t>(part));
            got += read;
        }
    }
    CHECK(got == blob);
    fetch.until_ended();
    CHECK(follower.state() == FetchState::complete);
    if (out_of_buffers == 0) MESSAGE("/var/tmp knows no O_DIRECT: nothing to see here");
    else CHECK_FALSE(box.loop()->ring().resident(follower.progress().file, 0, 4 * MiB, false));
    fetch.until([&] { return box.buffers.out() == 0; });
    CHECK_FALSE(follower.recent(0));
    fetch.followers.clear();
}

TEST_CASE("fetch: for a follower that needs memory, and for many, everything goes through the page cache") {
    for (bool many : {false, true}) {
        CAPTURE(many);
        auto disk = ScratchDirectory::on_disk();
        FetchBox box(8, 16 * MiB, disk.path() + "/store");
        auto blob = content(4 * MiB);
        box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
        RunningFetch fetch(box, digest_of(blob), box.source());
        auto& follower = fetch.follow();
        if (many) {
            fetch.follow();
            fetch.follow();
        } else {
            follower.need_memory();
            follower.need_memory();  // says so once
        }
        fetch.start();
        fetch.until_ended();
        CHECK(follower.state() == FetchState::complete);
        CHECK_FALSE(follower.recent(0));
        CHECK(box.loop()->ring().resident(follower.progress().file, 0, blob.size(), false));
        CHECK(file_bytes(follower, blob.size()) == blob);
        CHECK(follower.progress().memory_followers == (many ? 0 : 1));
        fetch.followers.clear();
    }
}

TEST_CASE("fetch: past a disk that is slower than upstream goes only the beginning") {
    for (bool slow : {false, true}) {
        CAPTURE(slow);
        auto disk = ScratchDirectory::on_disk();
        FetchBox box(8, 16 * MiB, disk.path() + "/store");
        auto& troubles = box.store->troubles;
        if (slow) troubles.append_time = milliseconds(20);
        auto blob = content(16 * MiB);
        box.upstreams.answer = [&](auto& request) { return whole(blob, request); };
        RunningFetch fetch(box, digest_of(blob), box.source());
        auto& follower = fetch.follow_to_the_end();
        check_complete(follower, blob);
        auto past = std::count(troubles.appended_via.begin(), troubles.appended_via.end(), WriteVia::disk);
        if (troubles.appended_via.front() == WriteVia::page_cache) MESSAGE("/var/tmp knows no O_DIRECT: nothing to see here");
        if (slow) CHECK(past < 48);  // of 64: four at a time in 20 ms, for 100 ms, and what was under way
        CHECK(troubles.appended_via.back() == WriteVia::page_cache);
        fetch.followers.clear();
    }
}

TEST_CASE("fetch: followers on another loop see every step to the end") {
    FetchBox box;
    SecondLoop second;
    auto blob = content(3'000'000);
    auto gate = std::make_shared<FlowGate>();
    gate->open_bytes = 0;
    box.upstreams.answer = [&](auto& request) {
        auto offer = whole(blob, request);
        offer.gate = gate;
        offer.piece_bytes = 20'000;
        return offer;
    };
    RunningFetch fetch(box, digest_of(blob), box.source());
    auto& here = fetch.follow();
    auto subscription = (*fetch).subscribe(second.loop());
    auto same = (*fetch).subscribe(second.loop());
    CHECK(subscription == same);
    CHECK(subscription->progress->followers == 3);

    struct Reader {
        static Task<std::string> read(std::shared_ptr<Subscription> subscription) {
            Follower follower(std::move(subscription));
            auto deadline = soon_enough();
            auto known = co_await follower.until_length_known(deadline);
            std::string text;
            while (known && text.size() < follower.progress().length) {
                known = co_await follower.until_beyond(text.size(), deadline);
                auto available = follower.available();
                if (available <= text.size()) break;
                auto had = text.size();
                text.resize(available);
                auto got = ::pread(follower.progress().file, text.data() + had, available - had, static_cast<off_t>(had));
                if (got != static_cast<ssize_t>(available - had)) break;
            }
            co_return text;
        }
    };
    auto first = [&] { return Reader::read(std::move(subscription)); };
    auto other = [&] { return Reader::read(std::move(same)); };
    auto reading = second.run(first), reading_too = second.run(other);
    fetch.start();
    for (std::size_t step = 0; step < blob.size(); step += 150'000) {
        gate->open_to(step);
        box.loop().run_for(milliseconds(1));
    }
    gate->open_all();
    bool same_bytes = box.loop().run(std::move(reading)) == blob;
    CHECK(same_bytes);
    same_bytes = box.loop().run(std::move(reading_too)) == blob;
    CHECK(same_bytes);
    fetch.until_ended();
    CHECK(here.progress().followers == 1);
}

}  // namespace entrepot
