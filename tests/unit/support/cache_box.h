#pragma once
// What a fetch, and a cache of one shard, work with: a real store on a directory of its own, troubles for it, and fake upstreams.

#include "entrepot/cache/cache.h"

#include "store/store_box.h"
#include "support/fake_upstreams.h"
#include "support/troubled_store.h"

namespace entrepot {

constexpr std::string_view image_manifest_type = "application/vnd.oci.image.manifest.v1+json";

/// An image manifest of one config and one layer.
inline std::string image_manifest(const Digest& config, const Digest& layer, std::string_view note = "") {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
           config.text() + R"(","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" +
           layer.text() + R"(","size":3}],"annotations":{"note":")" + std::string(note) + "\"}}";
}

/// Tools for fetches without a cache.
struct FetchBox {
    /// `memory_bytes` and `directory`: of the store's options; a fetch goes past the page cache where it is told how much memory there is, on a real disk.
    explicit FetchBox(std::size_t buffers_count = 8, std::uint64_t memory_bytes = 0, const std::string& directory = {})
        : box(GiB, directory), buffers(box.loop->ring(), buffers_count) {
        box.options.memory_bytes = memory_bytes;
        box.open();
        store.emplace(*box.store);
        tools.emplace(FetchTools{*store, upstreams, buffers, digests, records, counters});
        spec.login_server = "registry.test";
    }

    TestLoop& loop() { return box.loop; }
    StoreTroubles& troubles() { return store->troubles; }
    Source source(std::string_view repository = "library/app", CredentialPointer credential = nullptr) {
        return make_source(spec, std::move(credential), repository, seconds(60));
    }
    bool granted(const Source& source, const Digest& digest) {
        return store->ledger().granted(source.scope(), source.ledger_name, digest);
    }
    void apply(LedgerChange change) {
        auto applied = box.apply(std::move(change));
        REQUIRE(applied);
    }

    StoreBox box;
    std::optional<TroubledStore> store;
    FakeUpstreams upstreams;
    BufferPool buffers;
    DigestLine digests;
    RecordsUnderWay records;
    CacheCounters counters;
    std::optional<FetchTools> tools;
    UpstreamSpec spec;
};

/// A cache of one shard.
struct CacheBox : FetchBox {
    explicit CacheBox(const std::string& directory = {})
        : FetchBox(8, 0, directory), cache(team, *loop(), *tools, counters, Cache::Options{}) {
        team.members.push_back(&cache);
    }
    ~CacheBox() { loop().run(cache.close()); }

    void put(const std::string& text) {
        auto stored = box.put(text);
        REQUIRE(stored);
    }

    CacheTeam team;
    Cache cache;
};

}  // namespace entrepot
