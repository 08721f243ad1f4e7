#pragma once
// One download in flight, shared by everybody who wants the digest. The shard that owns the digest runs it; readers on any shard follow its progress.
//
//   requesting ──head arrived──> streaming ──digest matched──> complete     (advance: take_head, verify)
//        └───────────────── fail() from either ──────────────────> failed
//
// upstream bytes -> registered buffer -> digest -> file -> `available` moves -> followers send from the page cache, or out of that buffer while they are few, keep up, and the blob
// was not wanted lately: then the page cache is left alone. The last `withheld_bytes` become available only after the digest matched: a wrong blob is always a short body, never a
// complete lie. Nobody paces a fetch and nobody's leaving stops it. A broken transfer is
// resumed with Range as long as it makes progress.

#include "entrepot/cache/counters.h"
#include "entrepot/cache/digest_line.h"
#include "entrepot/cache/recent_pieces.h"
#include "entrepot/cache/records_under_way.h"
#include "entrepot/cache/source.h"
#include "entrepot/store/store.h"

#include <atomic>
#include <memory>
#include <vector>

namespace entrepot {

constexpr std::uint64_t withheld_bytes = 64 * KiB;
constexpr std::uint64_t length_unknown = UINT64_MAX;

enum class FetchState : std::uint8_t { requesting, streaming, complete, failed };

/// What followers see: written by the owner shard, read by any. Fields without atomics are constant from the state that makes them known on.
struct FetchProgress {
    Digest digest;
    std::atomic<FetchState> state{FetchState::requesting};
    std::atomic<std::uint64_t> available{0};            ///< bytes [0, available) may be sent
    std::atomic<std::uint32_t> followers{0};            ///< readers that may still use `file`
    std::atomic<std::uint32_t> memory_followers{0};     ///< of these, who has to find the bytes in the page cache
    std::atomic<std::uint64_t> length{length_unknown};  ///< from streaming on when it was told, else from complete on
    int file = -1;                                      ///< from streaming on
    mutable PageDoubt doubt;  ///< about `file`, which followers far behind have to read back from the disk
    std::shared_ptr<RecentPieces> recent = std::make_shared<RecentPieces>();
    UpstreamFailure failure{};  ///< from failed on
};

/// The followers of one fetch on one shard, woken together by one message at a time.
struct Subscription : Message {
    std::shared_ptr<FetchProgress> progress;
    Loop* loop = nullptr;
    Condition changed;  ///< touched on `loop` only
    std::atomic<bool> posted{false};
    std::shared_ptr<Subscription> kept_alive;  ///< while the message travels
};

/// One reader of a fetch, on the reader's shard.
class Follower {
  public:
    /// `subscription` was made by Fetch::subscribe, which counted this reader already.
    explicit Follower(std::shared_ptr<Subscription> subscription) noexcept : subscription_(std::move(subscription)) {}
    Follower(Follower&& other) noexcept = default;
    Follower& operator=(Follower&& other) noexcept {
        leave();
        subscription_ = std::move(other.subscription_);
        needs_memory_ = other.needs_memory_;
        return *this;
    }
    ~Follower() { leave(); }

    const FetchProgress& progress() const noexcept { return *subscription_->progress; }
    FetchState state() const noexcept { return progress().state.load(std::memory_order_acquire); }
    std::uint64_t available() const noexcept { return progress().available.load(std::memory_order_acquire); }
    /// The bytes from `offset` on, where they still lie in a buffer. To be let go of soon, and before the follower.
    RecentPieces::Reading recent(std::uint64_t offset) const noexcept { return subscription_->progress->recent->read(offset); }
    /// This reader is too slow for buffers, or may not use them: what comes from now on has to be in the page cache.
    void need_memory() noexcept;
    /// Waits until the length is known, or the fetch ended. Code::timeout when the deadline passes first.
    Task<Result<void>> until_length_known(Instant deadline);
    /// Waits until more than `offset` bytes are available, or the fetch ended.
    Task<Result<void>> until_beyond(std::uint64_t offset, Instant deadline);
    /// Brings the deadline of the until_beyond() under way forward: whoever waits there has less patience now.
    void hasten(Instant deadline) noexcept;

  private:
    void leave() noexcept;
    std::shared_ptr<Subscription> subscription_;
    bool needs_memory_ = false;
    Instant deadline_ = Instant::never();  // of until_beyond
    Condition::Wait* wait_ = nullptr;      // while it waits
};

/// The queue before an upstream is full: no fault of the store, and no reason to go past it to that same upstream.
UpstreamFailure of_upstream(UpstreamFailure failure) noexcept;

/// What a fetch works with: its shard's.
struct FetchTools {
    Store& store;
    Upstreams& upstreams;
    BufferPool& buffers;
    DigestLine& digests;
    RecordsUnderWay& records;
    CacheCounters& counters;
};

class Fetch {
  public:
    Fetch(FetchTools& tools, const Digest& digest, Source source);
    ~Fetch();

    /// Runs to the end and stays until the last follower left. `ended` is called once when nobody may join any more.
    template <typename Ended>
    Task<void> run(Ended ended) {
        co_await download();
        ended(*this);
        co_await until_followers_left();
    }

    /// On the owner shard: counts one more reader on `loop` and yields the subscription of that shard.
    std::shared_ptr<Subscription> subscribe(Loop& loop);
    /// Another client wants it: while it waits for upstream, it waits in his line too.
    void joined_by(ClientKey client) { askers_.join(client); }
    const Source& source() const noexcept { return source_; }
    const Digest& digest() const noexcept { return progress_->digest; }
    FetchState state() const noexcept { return progress_->state.load(std::memory_order_relaxed); }

  private:
    template <void (Fetch::*due)() noexcept>
    struct FetchTimer : Timer {
        explicit FetchTimer(Fetch& owner) noexcept
            : Timer([](Timer& timer) { (static_cast<FetchTimer&>(timer).fetch.*due)(); }), fetch(owner) {}
        Fetch& fetch;
    };

    Task<void> download();
    Task<Result<void, UpstreamFailure>> transfer();
    Task<Result<void, UpstreamFailure>> take_head(UpstreamExchange& exchange);
    Task<Result<void>> pump(UpstreamExchange& exchange);
    Task<Result<void>> skip(UpstreamExchange& exchange, std::uint64_t bytes);
    WriteVia way_of(Bytes bytes) const noexcept;
    Task<Result<void>> write_and_announce(std::shared_ptr<Buffer> buffer, Bytes bytes, std::uint64_t offset, WriteVia via);
    void keep_for_followers(std::shared_ptr<Buffer> buffer, Bytes bytes, std::uint64_t offset) noexcept;
    void let_go_of_pieces() noexcept;
    Task<void> forget_claim();
    Task<Result<void>> begin_writing(std::optional<std::uint64_t> length);
    Task<void> publish();
    Task<void> until_followers_left();
    UpstreamRequest request();
    void become(FetchState next) noexcept;
    void fail(UpstreamFailure failure) noexcept;
    void advance_available(std::uint64_t available) noexcept;
    void announce() noexcept;
    Duration announce_interval() const noexcept;

    FetchTools& tools_;
    Source source_;
    Askers askers_;
    std::shared_ptr<FetchProgress> progress_;
    std::vector<std::shared_ptr<Subscription>> subscriptions_;
    Digester digester_;
    std::unique_ptr<BlobWriter> writer_;
    bool length_is_claim_ = false;  ///< a manifest's, because upstream tells none
    std::uint64_t received_ = 0;    ///< bytes hashed and given to the writer
    std::uint64_t announced_ = 0;   ///< the `available` that followers were last woken for
    Instant announced_at_{};
    FetchTimer<&Fetch::announce> announce_timer_;
    FetchTimer<&Fetch::let_go_of_pieces> pieces_timer_;
};

}  // namespace entrepot
