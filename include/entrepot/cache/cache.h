#pragma once
// Hit, join or fetch: the policy of one shard. What is in this shard's memory is answered at once; everything else is asked of the shard that owns the digest (or the tag), so that there
// is one fetch, one revalidation and one decision for the whole box.
//
//   blob:      hot here? ── owner: granted? running fetch? stored? ── else fetch
//   manifest:  tag ── fresh? ── owner: revalidate once ── digest ── as a blob, kept in memory when small
//
// A digest is no capability: it is served under a repository only when upstream gave it to that repository (a grant), or confirms it now.

#include "entrepot/cache/hot_blobs.h"
#include "entrepot/cache/tags.h"
#include "entrepot/cache/under_way.h"
#include "entrepot/rules/platform.h"

#include <functional>

namespace entrepot {

class Cache;

/// The caches of all shards, in shard order. Filled before the loops run, constant afterwards.
struct CacheTeam {
    std::vector<Cache*> members;
    Cache& owner_of(std::uint64_t hash) const noexcept { return *members[hash % members.size()]; }
};

/// Where the bytes of a blob come from: exactly one of hot and follower is there, or neither (bypass: the store cannot take it, ask open_bypass).
struct BlobSource {
    Served served = Served::hit;
    std::uint64_t length = 0;
    HotRef hot;
    std::optional<Follower> follower;
};

struct BlobLength {
    std::uint64_t bytes = 0;
    Served served = Served::hit;  ///< bypass: upstream told it
};

struct ManifestAnswer {
    Served served = Served::hit;
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::int64_t age_seconds = 0;  ///< since upstream last confirmed the tag
    HotRef content;                ///< null when only the head was wanted and the content is not at hand

    /// Of the content when it knows (then `media_type` may be empty), else of the tag's record.
    std::string_view type() const noexcept {
        return content && !content->media_type.empty() ? std::string_view(content->media_type) : media_type;
    }
};

/// A document that is a list rather than content: tags, referrers.
struct Document {
    std::string body, content_type, link, filters_applied;
};

class Cache {
  public:
    struct Options {
        HotBlobs::Options hot;
        Duration head_deadline = std::chrono::seconds(60);  ///< how long a request waits for a fetch to know its length
    };

    Cache(CacheTeam& team, Loop& loop, FetchTools& tools, CacheCounters& counters, const Options& options);
    ~Cache();

    /// The hot path: in this shard's memory and granted to `source`, else null. No wait.
    HotRef find_hot(const Source& source, const Digest& digest) noexcept;
    /// A fresh tag in this shard's memory whose manifest is hot and granted, else nothing. No wait.
    std::optional<ManifestAnswer> find_hot_tag(const Source& source, std::string_view tag);

    Task<Fetched<BlobSource>> open_blob(Source source, Digest digest);
    /// The length of a blob without starting a fetch.
    Task<Fetched<BlobLength>> blob_length(Source source, Digest digest);
    /// A body straight from upstream, from `offset` on, for blobs that the store cannot take. The caller verifies.
    Task<Fetched<std::unique_ptr<UpstreamExchange>>> open_bypass(Source source, Digest digest, std::uint64_t offset);
    /// `tag` empty: by `digest`.
    Task<Fetched<ManifestAnswer>> open_manifest(Source source, std::string tag, Digest digest, bool head_only);
    /// What a manifest in hand runs on: as the index says that upstream named it by, else as its config says, which is fetched when it is not here (whoever pulls the image
    /// asks for it next) and remembered. Platform::unknown() when nothing says so: an index, an artifact.
    Task<Fetched<Platform>> platform_of(Source source, ManifestAnswer manifest);
    /// The same of a digest whose manifest need not be here, if an index said so. No wait.
    std::optional<Platform> told_platform(const Source& source, const Digest& digest);
    /// Asks upstream what the tag points to now, however young it is; every shard uses the answer from then on. Never a stale one.
    Task<Fetched<TagAnswer>> sync_tag(Source source, std::string tag);
    /// What upstream says of a tag or a digest now, by HEAD: the digest's text, empty when it tells none. Nothing is remembered.
    Task<Fetched<std::string>> probe(Source source, std::string reference);
    Task<Fetched<Document>> ask_document(Source source, UpstreamKind kind, std::string resource, std::string query,
                                         std::size_t bytes_max);
    /// A stored blob turned out damaged: nobody is served from it any more.
    Task<void> report_damaged(Digest digest);

    /// On this shard: what is in memory of these digests goes; of `repositories` (ledger names) what is remembered of their tags.
    void forget(const std::vector<Digest>& digests) noexcept;
    Task<void> forget_tags(const std::vector<std::string>& repositories);
    /// On this shard: until the ledger knows all that clients were answered before; false when the deadline passes first.
    Task<bool> until_recorded(Instant deadline) { return tools_.records.until_ended(deadline); }

    const CacheTeam& team() const noexcept { return team_; }
    Store& store() noexcept { return tools_.store; }
    Ledger& ledger() noexcept { return tools_.store.ledger(); }
    CacheCounters& counters() noexcept { return counters_; }
    BufferPool& buffers() noexcept { return tools_.buffers; }
    /// Of stored blobs: what a reader of this shard brings into memory for all.
    UnderWay& chunk_reads() noexcept { return chunk_reads_; }
    Loop& loop() noexcept { return loop_; }
    std::size_t running_fetches() const noexcept { return fetches_.size(); }

    /// Lets idle descriptors go, now and then; ends with stop_housekeeping().
    Task<void> housekeeping();
    /// Every shard's idle descriptors go at once (the store is under pressure). Callable on any shard.
    Task<void> relieve_pressure();
    /// Ends housekeeping, waits for fetches and revalidations. Upstreams must have been interrupted if it shall be soon.
    Task<void> close();

  private:
    struct Located {
        BlobRef file;
        std::shared_ptr<Subscription> subscription;
        bool started = false;
        std::optional<UpstreamFailure> failure;
    };
    struct HotTag {
        std::string name;  // "<ledger name>:<tag>", to tell hash collisions apart
        TagRecord record;
        Served served = Served::hit;
        std::uint64_t freshness = 0;  // Source::freshness of whom it was judged for
        Instant until{};
    };

    Task<Located> locate(Source source, Digest digest, Loop& reader);
    Task<Fetched<BlobSource>> open_past_store(Source source, Digest digest, UpstreamFailure failure);
    Task<std::optional<UpstreamFailure>> confirm(const Source& source, const Digest& digest);
    Task<UpstreamAnswer> ask_for_head(Source source, Digest digest);
    Fetch& start_fetch(const Source& source, const Digest& digest);
    Task<void> run_fetch(std::unique_ptr<Fetch> fetch);
    Task<Fetched<TagAnswer>> sync_here(Source source, std::string tag);
    Task<HotRef> make_hot(const Source& source, BlobRef file, std::uint64_t asked_at);
    HotRef make_hot(const Source& source, const ManifestContent& content, std::uint64_t asked_at);
    Task<Fetched<std::string>> read_small_blob(Source source, Digest digest);
    Task<Fetched<std::string>> read_bypassing(Source source, Digest digest);
    Task<Result<std::string>> read_hot(HotRef blob);
    Task<Result<std::string>> read_followed(Follower& follower);
    Task<Fetched<ManifestContent>> find_or_fetch_manifest(Source source, Digest digest);
    Task<Fetched<HotRef>> load_manifest(const Source& source, const Digest& digest, Served& served);
    Task<Fetched<TagAnswer>> resolve_tag(const Source& source, const std::string& tag);
    Task<void> keep_manifest(Source source, ManifestContent content);
    Task<void> keep_here(Source source, ManifestContent content);
    void remember_tag(const Source& source, std::string_view tag, const TagAnswer& answer, std::uint64_t asked_at);
    HotTag* find_tag(const Source& source, std::string_view tag);
    void touch(HotBlob& blob) noexcept;
    ManifestAnswer answer_of(const TagRecord& record, Served served) const;

    CacheTeam& team_;
    Loop& loop_;
    FetchTools& tools_;
    CacheCounters& counters_;
    Options options_;
    HotBlobs hot_;
    UnderWay openings_, chunk_reads_;
    std::unordered_map<std::uint64_t, HotTag> hot_tags_;
    Manifests manifests_;
    Tags tags_;
    std::unordered_map<Digest, Fetch*, DigestHash> fetches_;
    std::uint64_t forgets_ = 0;  // what was asked for before the last forget() is not remembered any more
    TaskGroup background_;
    Condition stop_housekeeping_;
    bool closing_ = false;
};

}  // namespace entrepot
