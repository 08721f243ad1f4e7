#include "entrepot/cache/purge.h"

#include "support/cache_box.h"

#include <map>
#include <set>

namespace entrepot {
namespace {

std::string image_of(const std::string& config, const std::vector<std::string>& layers) {
    std::string list;
    for (auto& layer : layers) {
        list += (list.empty() ? "" : ",") +
                std::string(R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")") +
                digest_of(layer).text() + R"(","size":)" + std::to_string(layer.size()) + "}";
    }
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
           digest_of(config).text() + R"(","size":2},"layers":[)" + list + "]}";
}

std::string index_of(const std::vector<std::pair<std::string, std::string>>& children) {
    std::string list;
    for (auto& [manifest, architecture] : children) {
        list += (list.empty() ? "" : ",") + std::string(R"({"mediaType":")") + std::string(image_manifest_type) +
                R"(","digest":")" + digest_of(manifest).text() + R"(","size":)" + std::to_string(manifest.size()) +
                R"(,"platform":{"os":"linux","architecture":")" + architecture + "\"}}";
    }
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" + list + "]}";
}

/// Two images that share a layer, and an index over both, in as many repositories as a test likes.
struct Box : CacheBox {
    Box() {
        contents[digest_of(index).text()] = {index, "application/vnd.oci.image.index.v1+json"};
        for (auto& manifest : {one, two}) contents[digest_of(manifest).text()] = {manifest, std::string(image_manifest_type)};
        for (auto& blob : {config, shared, own_one, own_two}) contents[digest_of(blob).text()] = {blob, ""};
        tags = {{"one", one}, {"two", two}, {"all", index}};
        upstreams.answer = [this](auto& request) { return offer_of(request); };
    }
    Offer offer_of(const UpstreamRequest& request) {
        auto name = request.resource.substr(request.resource.find('/') + 1);
        auto tag = tags.find(name);
        if (tag != tags.end()) name = digest_of(tag->second).text();
        auto found = contents.find(name);
        if (found == contents.end()) return refusal(Code::not_found, 404);
        auto offer = whole(found->second.first, request);
        offer.content_type = found->second.second;
        offer.docker_content_digest = name;
        return offer;
    }
    void pull(const Source& source, const std::string& tag) {
        auto opened = loop().run(cache.open_manifest(source, tag, {}, false));
        REQUIRE(opened);
        until_kept(source, opened->digest);
        loop().run_until([&] { return store->ledger().find_tag(source.ledger_name, tag).has_value(); });
        if (tag == "all") {
            for (auto& manifest : {one, two}) pull_digest(source, digest_of(manifest));
        }
        for (auto& blob : tag == "one"   ? std::vector{config, shared, own_one}
                          : tag == "two" ? std::vector{config, shared, own_two}
                                         : std::vector{config, shared, own_one, own_two})
            read(source, blob);
    }
    void pull_digest(const Source& source, const Digest& digest) {
        REQUIRE(loop().run(cache.open_manifest(source, "", digest, false)));
        until_kept(source, digest);
    }
    void until_kept(const Source& source, const Digest& digest) {
        loop().run_until([&] { return store->ledger().is_manifest(digest) && granted(source, digest); });
    }
    void read(const Source& source, const std::string& blob) {
        REQUIRE(loop().run(cache.open_blob(source, digest_of(blob))));
        loop().run_until([&] { return cache.running_fetches() == 0 && granted(source, digest_of(blob)); });
    }
    PurgeOrder order_of(const Source& source) {
        PurgeOrder order;
        order.holders.push_back({source.scope(), source.ledger_name});
        return order;
    }
    PurgeCount purge(PurgeOrder order) {
        auto done = loop().run(purger.run(std::move(order)));
        REQUIRE(done);
        return *done;
    }
    bool stored(const std::string& text) { return store->ledger().find_blob_head(digest_of(text)).has_value(); }
    std::size_t files() {
        std::size_t count = 0;
        for (auto& entry : std::filesystem::recursive_directory_iterator(box.path("blobs"))) count += entry.is_regular_file();
        return count;
    }

    const std::string config = "{}", shared = content(100'000, 1), own_one = content(50'000, 2), own_two = content(70'000, 3);
    const std::string one = image_of(config, {shared, own_one}), two = image_of(config, {shared, own_two});
    const std::string index = index_of({{one, "amd64"}, {two, "arm64"}});
    std::map<std::string, std::pair<std::string, std::string>> contents;
    std::map<std::string, std::string> tags;
    Purge purger{team, *store};
};

Task<bool> pause(Duration time) {
    co_await Sleep(time);
    co_return true;
}

}  // namespace

TEST_CASE("purge: a repository leaves nothing behind, and what it had is fetched again by one GET each") {
    Box box;
    auto app = box.source();
    box.pull(app, "all");
    REQUIRE(box.files() == 7);
    auto before = box.upstreams.requests.size();
    auto order = box.order_of(app);
    order.dry_run = true;
    auto told = box.purge(order);
    CHECK(told.tags == 1);
    CHECK(told.manifests == 3);
    CHECK(told.blobs == 4);
    CHECK(box.files() == 7);
    CHECK(box.stored(box.shared));
    auto done = box.purge(box.order_of(app));
    CHECK(done.tags == told.tags);
    CHECK(done.manifests == told.manifests);
    CHECK(done.blobs == told.blobs);
    CHECK(done.bytes == told.bytes);
    CHECK(done.kept == 0);
    CHECK(box.files() == 0);
    CHECK(box.store->counters().bytes == 0);
    CHECK(box.store->counters().blobs == 0);
    CHECK_FALSE(box.granted(app, digest_of(box.shared)));
    CHECK_FALSE(box.store->ledger().granted_to_anybody(digest_of(box.one)));
    CHECK_FALSE(box.store->ledger().find_tag(app.ledger_name, "all"));
    CHECK_FALSE(box.cache.find_hot(app, digest_of(box.config)));
    CHECK_FALSE(box.cache.find_hot_tag(app, "all"));
    CHECK(box.upstreams.requests.size() == before);
    auto again = box.purge(box.order_of(app));
    CHECK(again.tags + again.manifests + again.blobs + again.kept == 0);
    auto gets = box.upstreams.asked("blobs/" + digest_of(box.shared).text(), false);
    box.pull(app, "all");
    CHECK(box.upstreams.asked("blobs/" + digest_of(box.shared).text(), false) == gets + 1);
}

TEST_CASE("purge: what another repository was granted stays stored, and is no longer this one's") {
    Box box;
    auto app = box.source(), other = box.source("library/other");
    box.pull(app, "all");
    box.pull(other, "one");
    auto done = box.purge(box.order_of(app));
    CHECK(done.manifests == 2);  // the index and the second image
    CHECK(done.blobs == 1);      // the layer that only it has
    CHECK(done.kept == 4);       // the first image, its config and layers
    for (auto& text : {box.one, box.config, box.shared, box.own_one}) {
        CHECK(box.stored(text));
        CHECK_FALSE(box.granted(app, digest_of(text)));
        CHECK(box.granted(other, digest_of(text)));
    }
    auto before = box.upstreams.requests.size();
    auto opened = box.loop().run(box.cache.open_manifest(other, "one", {}, false));
    REQUIRE(opened);
    CHECK(opened->served == Served::hit);
    CHECK(box.upstreams.requests.size() == before);
    // Digests are no capability: the purged repository has to ask.
    box.read(app, box.shared);
    CHECK(box.upstreams.requests.size() > before);
}

TEST_CASE("purge: a tag takes its image along, less what other images of the repository are made of") {
    Box box;
    auto app = box.source();
    box.pull(app, "one");
    box.pull(app, "two");
    auto order = box.order_of(app);
    order.tag = "one";
    auto done = box.purge(order);
    CHECK(done.tags == 1);
    CHECK(done.manifests == 1);
    CHECK(done.blobs == 1);
    CHECK(done.kept == 2);
    CHECK_FALSE(box.stored(box.one));
    CHECK_FALSE(box.stored(box.own_one));
    for (auto& text : {box.two, box.config, box.shared, box.own_two}) CHECK(box.stored(text));
    CHECK(box.store->ledger().find_tag(app.ledger_name, "two"));
    order.tag = "nobody";
    CHECK(box.purge(order).tags == 0);
}

TEST_CASE("purge: a tag whose image has another tag is only a tag") {
    Box box;
    box.tags["again"] = box.one;
    auto app = box.source();
    box.pull(app, "one");
    REQUIRE(box.loop().run(box.cache.open_manifest(app, "again", {}, false)));
    box.loop().run_until([&] { return box.store->ledger().find_tag(app.ledger_name, "again").has_value(); });
    auto order = box.order_of(app);
    order.tag = "one";
    auto done = box.purge(order);
    CHECK(done.tags == 1);
    CHECK(done.manifests + done.blobs == 0);
    CHECK(done.kept == 4);
    CHECK(box.stored(box.one));
}

TEST_CASE("purge: a digest goes although an index names it, with the tags that point to it and what no other image is made of") {
    Box box;
    auto app = box.source();
    box.pull(app, "all");
    box.pull(app, "one");
    auto order = box.order_of(app);
    order.digest = digest_of(box.one);
    auto done = box.purge(order);
    CHECK(done.tags == 1);
    CHECK(done.manifests == 1);
    CHECK(done.blobs == 1);
    CHECK_FALSE(box.stored(box.one));
    CHECK_FALSE(box.stored(box.own_one));
    for (auto& text : {box.index, box.two, box.shared, box.config}) CHECK(box.stored(text));
    CHECK(box.store->ledger().find_tag(app.ledger_name, "all"));
    order.digest = digest_of(box.shared);
    done = box.purge(order);
    CHECK(done.blobs == 1);
    CHECK_FALSE(box.stored(box.shared));
}

TEST_CASE("purge: who reads a blob reads it to its end, and its space is free when he is done") {
    Box box;
    auto app = box.source();
    box.pull(app, "one");
    auto reading = box.box.get(digest_of(box.own_one));
    REQUIRE(reading);
    auto done = box.purge(box.order_of(app));
    CHECK(done.blobs == 3);
    auto text = box.box.read(*reading);
    REQUIRE(text);
    CHECK(*text == box.own_one);
    CHECK_FALSE(box.box.has(digest_of(box.own_one)));
    box.read(app, box.own_one);  // anew, beside the reader of the old one
    CHECK(box.box.holds(box.own_one));
}

TEST_CASE("purge: what was pulled to its end before goes too, though its records are still on their way") {
    Box box;
    auto app = box.source();
    box.troubles().hold_publish = true;
    auto opened = box.loop().run(box.cache.open_manifest(app, "one", {}, false));
    REQUIRE(opened);
    REQUIRE(opened->content);
    auto by_digest = box.loop().run(box.cache.open_manifest(app, "", digest_of(box.two), false));
    REQUIRE(by_digest);
    auto blob = box.loop().run(box.cache.open_blob(app, digest_of(box.shared)));
    REQUIRE(blob);
    auto whole = box.loop().run(blob->follower->until_beyond(box.shared.size() - 1, Instant::never()));
    REQUIRE(whole);
    blob->follower.reset();
    REQUIRE_FALSE(box.stored(box.shared));
    auto purging = box.purger.run(box.order_of(app));
    box.loop().run(pause(milliseconds(50)));  // a purge that did not wait would be done
    box.troubles().hold_publish = false;
    box.troubles().let_go.notify_all();
    auto done = box.loop().run(std::move(purging));
    REQUIRE(done);
    CHECK(done->tags == 1);
    CHECK(done->manifests == 2);
    CHECK(done->blobs == 1);
    REQUIRE(box.loop().run(box.cache.until_recorded(Instant::never())));
    CHECK_FALSE(box.store->ledger().find_tag(app.ledger_name, "one"));
    for (auto& text : {box.one, box.two, box.shared}) {
        CHECK_FALSE(box.stored(text));
        CHECK_FALSE(box.granted(app, digest_of(text)));
    }
    CHECK(box.files() == 0);
}

TEST_CASE("purge: rules with a wildcard find their repositories, of their own scope only") {
    Box box;
    auto credential = std::make_shared<Credential>(CredentialSpec{"corp", "registry.test", "corp 1", {}});
    auto app = box.source(), other = box.source("library/other"), elsewhere = box.source("team/x");
    auto private_app = box.source("library/app", credential);
    for (auto& source : {app, other, elsewhere, private_app}) box.read(source, box.config);
    auto names = [](std::vector<Holder> holders) {
        std::set<std::string> found;
        for (auto& holder : holders) found.insert(holder.scope + ":" + holder.repository);
        return found;
    };
    auto& ledger = box.store->ledger();
    CHECK(names(holders_under(ledger, "", "registry.test/library/", true)) ==
          std::set<std::string>{":registry.test/library/app", ":registry.test/library/other"});
    CHECK(names(holders_under(ledger, "corp 1", "registry.test/", true)) ==
          std::set<std::string>{"corp 1:registry.test/library/app"});
    CHECK(names(holders_under(ledger, "", "registry.test/team/x", false)) == std::set<std::string>{":registry.test/team/x"});
    PurgeOrder order;
    order.holders = holders_under(ledger, "", "registry.test/", true);
    auto done = box.purge(order);
    CHECK(done.kept == 1);
    CHECK(box.granted(private_app, digest_of(box.config)));
    order.holders = holders_under(ledger, "corp 1", "registry.test/", true);
    CHECK(box.purge(order).blobs == 1);
}

TEST_CASE("purge: thousands of blobs go in batches, and those who wait beyond the bound are told so") {
    Box box;
    auto app = box.source();
    std::vector<LedgerChange> changes;
    for (int i = 0; i < 5000; ++i) changes.push_back(PutGrant{"", app.ledger_name, digest_of(std::to_string(i))});
    for (int i = 0; i < 600; ++i) changes.push_back(PutTag{app.ledger_name, "t" + std::to_string(i), {digest_of("x"), "", 1, 1}});
    REQUIRE(box.loop().run(box.store->ledger().apply(std::move(changes))));
    for (int i = 0; i < 200; ++i) box.put(std::to_string(i));
    std::vector<Task<Result<PurgeCount>>> running;
    for (std::size_t i = 0; i < Purge::waiting_max + 2; ++i) running.push_back(box.purger.run(box.order_of(app)));
    auto refused = box.loop().run(std::move(running.back()));
    running.pop_back();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::busy);
    PurgeCount sum;
    for (auto& task : running) {
        auto done = box.loop().run(std::move(task));
        REQUIRE(done);
        sum.tags += done->tags;
        sum.blobs += done->blobs;
    }
    CHECK(sum.tags == 600);
    CHECK(sum.blobs == 200);
    CHECK(box.files() == 0);
    HolderSet holders;
    holders.add({"", app.ledger_name});
    CHECK(box.store->ledger().list_grants(holders, "", 1'000'000).digests.empty());
}

}  // namespace entrepot
