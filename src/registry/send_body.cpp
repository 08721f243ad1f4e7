#include "registry/send_body.h"

#include "registry/client_pace.h"

#include <algorithm>
#include <cerrno>

namespace entrepot {
namespace {

// One slice at a time, so that connections share the shard fairly; as long as nginx (sendfile_max_chunk) makes them.
constexpr std::uint64_t slice_bytes = 2 * MiB;
constexpr Duration buffer_wait = seconds(60);
// With who brings in the same chunk: his disk, or his wait for a buffer, may be slow.
constexpr Duration reading_patience = seconds(1);
constexpr Duration buffer_patience = milliseconds(50);  // a chunk in this time is 5 MB/s; a slower client may not keep a buffer
constexpr Duration follow_wait = seconds(180);          // longer than a fetch can go without progress
constexpr Duration ended_wait =
    seconds(10);  // of a client that sent FIN: it may have half-closed, or be gone; the next byte tells

/// A follower's client, looked at while there is nothing to send it: who is gone must not hold his place until a fetch that stands still ends.
class FollowerClient final : public EndWatch {
  public:
    FollowerClient(Stream& stream, Follower& follower, Loop& loop) noexcept : stream_(stream), follower_(follower), loop_(loop) {
        stream_.watch_end(this);
    }
    ~FollowerClient() { stream_.watch_end(nullptr); }
    FollowerClient(const FollowerClient&) = delete;

    /// Until when it waits for the next byte.
    Instant patience() const noexcept { return loop_.time() + (ended_ ? ended_wait : follow_wait); }
    bool gone() const noexcept { return gone_; }

  private:
    void peer_ended(bool by_force) noexcept override {
        ended_ = true;
        gone_ = by_force;
        follower_.hasten(gone_ ? loop_.time() : patience());
    }

    Stream& stream_;
    Follower& follower_;
    Loop& loop_;
    bool ended_ = false, gone_ = false;
};

/// Of the next `all` bytes those that can leave together: all, else the first `chunk`, else none. `here` says it of so many.
template <typename Here>
std::uint64_t longest_part(std::uint64_t all, std::uint64_t chunk, Here here) {
    if (here(all)) return all;
    return chunk < all && here(chunk) ? chunk : 0;
}

/// One response body under way.
class BodySender {
  public:
    BodySender(Call& call, const Digest& digest, BlobPart part) noexcept
        : call_(call), digest_(digest), offset_(part.offset), end_(part.offset + part.length) {}

    Task<Result<void>> send(BlobSource source);

  private:
    Task<Result<void>> send_stored(HotRef blob);
    Task<Result<void>> send_file(HotBlob& blob);
    Task<Result<std::uint64_t>> bring_in(BlobFile& file);
    bool is_here(const BlobFile& file, std::uint64_t bytes) const;
    bool passes_memory_by(const BlobFile& file) const;
    Task<Result<void>> send_past_memory(BlobFile& file);
    Task<Result<void>> send_following(Follower& follower);
    Task<Result<void>> send_from_fetch(Follower& follower, std::uint64_t available);
    Task<Result<void>> send_recent(Follower& follower, Bytes piece);
    Task<Result<std::uint64_t>> bring_in(const FetchProgress& fetch, std::uint64_t length);
    Task<Result<void>> send_range(int file, std::uint64_t length, ServedFrom from);
    Task<Result<void>> bypass_after(const FetchProgress& fetch);
    Task<Result<void>> send_bypassing(std::uint64_t from, Digester digester);
    Task<Result<void>> send_bytes(Bytes bytes, ServedFrom from);
    Instant deadline() const noexcept { return call_.cache.loop().time() + send_stall_max; }
    void sent(std::uint64_t bytes, ServedFrom from) noexcept {
        offset_ += bytes;
        call_.exchange.body_bytes += bytes;
        call_.counters.served_bytes[static_cast<std::size_t>(from)].add(bytes);
    }

    Call& call_;
    Digest digest_;
    std::uint64_t offset_, end_;
    std::uint64_t length_ = 0;  // of the whole blob, as the head promised
    ServedFrom from_fetch_ = ServedFrom::follow;
    ClientPace pace_;
    bool keeps_up_ = true;          // took every chunk that was sent out of a buffer
    bool sent_unverified_ = false;  // bytes of a fetch whose digest is not known yet
};

/// A source that fails in the middle is replaced by the next that can give the same bytes: a damaged file by a fetch, a fetch that the store refuses by upstream itself.
Task<Result<void>> BodySender::send(BlobSource source) {
    constexpr int sources_max = 3;
    length_ = source.length;
    for (int tried = 0; tried < sources_max; ++tried) {
        Result<void> outcome;
        if (source.hot) {
            outcome = co_await send_stored(source.hot);
        } else if (source.follower) {
            from_fetch_ = source.served == Served::fetch ? ServedFrom::fetch : ServedFrom::follow;
            outcome = co_await send_following(*source.follower);
        } else {
            Digester nothing(digest_.algorithm());
            co_return co_await send_bypassing(0, nothing);
        }
        if (outcome || (outcome.error().fault != Fault::storage && outcome.error().fault != Fault::capacity)) co_return outcome;
        if (source.follower) co_return co_await bypass_after(source.follower->progress());
        co_await call_.cache.report_damaged(digest_);
        auto again = co_await call_.cache.open_blob(call_.source, digest_);
        if (!again) co_return again.error().error;
        if (again->length != length_) co_return Error{Fault::storage, Code::corrupt};
        source = *std::move(again);
    }
    co_return Error{Fault::storage, Code::corrupt};
}

Task<Result<void>> BodySender::send_bytes(Bytes bytes, ServedFrom from) {
    bool more = offset_ + bytes.size() < end_;
    auto done = co_await call_.exchange.stream().send(bytes, {}, more, deadline());
    if (done) sent(bytes.size(), from);
    co_return done;
}

Task<Result<void>> BodySender::send_stored(HotRef blob) {
    if (blob->body) {
        auto bytes = bytes_of(*blob->body).subspan(offset_, end_ - offset_);
        co_return co_await send_bytes(bytes, ServedFrom::hit);
    }
    // Even for one slice, and although sendfile sets MSG_MORE by itself: that ends with the system call, and an acknowledgement in the middle of it
    // pushes a short segment out. 9,500 connections, 1 MiB each: without cork half as many segments more, and 0.135 instead of 0.111 CPU-s for a GB.
    call_.exchange.stream().cork(true);
    auto outcome = co_await send_file(*blob);
    call_.exchange.stream().cork(false);
    co_return outcome;
}

/// What is in memory leaves by sendfile, in long slices. What is not is first brought in through the ring, chunk by chunk, so that the shard never waits for the disk; no
/// buffer is held while the client takes its time. What nobody wanted for long goes from the disk to the client through a buffer alone.
Task<Result<void>> BodySender::send_file(HotBlob& blob) {
    auto& file = *blob.file;
    auto& loop = call_.cache.loop();
    BlobReader reading(file);
    for (auto begin = offset_; offset_ < end_;) {
        if (offset_ > begin) co_await BulkTurn{};  // the first part leaves in the turn of the head
        if (passes_memory_by(file)) {
            auto done = co_await send_past_memory(file);
            if (!done) co_return done;
            blob.used = loop.time();
            continue;
        }
        auto here = [&](std::uint64_t bytes) { return is_here(file, bytes); };
        auto slice = longest_part(std::min(slice_bytes, end_ - offset_), chunk_bytes - offset_ % chunk_bytes, here);
        if (slice == 0) {
            auto brought = co_await bring_in(file);
            if (!brought) co_return brought.error();
            slice = *brought;
        }
        auto done = co_await send_range(file.file(), slice, ServedFrom::hit);
        if (!done) co_return done;
        blob.used = loop.time();
    }
    co_return Result<void>();
}

/// The next bytes of the file: verified, and in memory.
bool BodySender::is_here(const BlobFile& file, std::uint64_t bytes) const {
    auto& loop = call_.cache.loop();
    return file.verified(offset_, bytes) && loop.ring().resident(file.file(), offset_, bytes, file.doubt().holds(loop.time()));
}

/// A chunk that was verified since the file was opened is wanted again: it is worth the page cache. One in memory is verified there.
bool BodySender::passes_memory_by(const BlobFile& file) const {
    if (!keeps_up_ || call_.exchange.stream().is_tls() || !file.suits_direct_read() || file.verified(offset_, 1)) return false;
    auto begin = offset_ / chunk_bytes * chunk_bytes;
    auto& loop = call_.cache.loop();
    return !loop.ring().resident(file.file(), begin, std::min(chunk_bytes, file.size() - begin), file.doubt().holds(loop.time()));
}

/// One chunk from the disk to the client through a buffer. A client that does not take it at once gets the rest by way of the page cache.
Task<Result<void>> BodySender::send_past_memory(BlobFile& file) {
    auto& loop = call_.cache.loop();
    auto buffer = co_await call_.cache.buffers().take(loop.time() + buffer_wait);
    if (!buffer) co_return Error{Fault::client, Code::busy};
    auto chunk = co_await file.read_chunk(offset_ / chunk_bytes, buffer, ReadVia::disk);
    if (!chunk) co_return chunk.error();
    auto wanted = chunk->subspan(offset_ % chunk_bytes);
    wanted = wanted.first(std::min<std::uint64_t>(wanted.size(), end_ - offset_));
    co_await BulkTurn{};
    bool more = offset_ + wanted.size() < end_;
    auto taken = co_await call_.exchange.stream().send_some(wanted, more, loop.time() + buffer_patience);
    if (!taken) co_return taken.error();
    sent(*taken, ServedFrom::hit);
    keeps_up_ = *taken == wanted.size();
    co_return Result<void>();
}

/// Brings the chunk at `offset_` into memory and compares its sum before a byte of it leaves. Yields how much of it is wanted.
Task<Result<std::uint64_t>> BodySender::bring_in(BlobFile& file) {
    auto& loop = call_.cache.loop();
    auto index = offset_ / chunk_bytes;
    auto wanted = std::min(chunk_bytes - offset_ % chunk_bytes, end_ - offset_);
    // Of thousands who want one blob one reads the chunk, for all.
    auto& chunk_reads = call_.cache.chunk_reads();
    auto key = digest_.hash() + index;  // another chunk's costs a wait
    if (auto other = chunk_reads.find(key)) {
        (void)co_await other->wait(loop.time() + reading_patience);
        if (is_here(file, wanted)) co_return wanted;
    }
    UnderWay::One reading(chunk_reads, key);
    auto buffer = co_await call_.cache.buffers().take(loop.time() + buffer_wait);
    if (!buffer) co_return Error{Fault::client, Code::busy};
    // It may have come while this waited: where the one reader failed or took too long, all who waited for him come here at once.
    if (is_here(file, wanted)) co_return wanted;
    auto chunk = co_await file.read_chunk(index, buffer);
    if (!chunk) co_return chunk.error();
    co_return wanted;
}

Task<Result<void>> BodySender::send_range(int file, std::uint64_t length, ServedFrom from) {
    auto& loop = call_.cache.loop();
    auto before = loop.time();
    auto done = co_await call_.exchange.stream().send_file(file, offset_, length, deadline());
    if (!done) co_return done.error();
    sent(*done, from);
    if (!pace_.took(*done, loop.time() - before)) co_return Error{Fault::client, Code::timeout};
    co_return Result<void>();
}

Task<Result<void>> BodySender::send_following(Follower& follower) {
    FollowerClient client(call_.exchange.stream(), follower, call_.cache.loop());
    if (call_.exchange.stream().is_tls()) {
        // A record that was sealed must leave, however slow the client: never out of a buffer.
        keeps_up_ = false;
        follower.need_memory();
    }
    while (offset_ < end_) {
        if (client.gone()) co_return Error{Fault::client, Code::reset};
        auto waited = co_await follower.until_beyond(offset_, client.patience());
        if (!waited) co_return waited;
        auto available = std::min(follower.available(), end_);
        if (available <= offset_) {
            if (follower.state() == FetchState::failed) co_return follower.progress().failure.error;
            continue;
        }
        auto done = co_await send_from_fetch(follower, available);
        if (!done) co_return done;
    }
    co_return Result<void>();
}

Task<Result<void>> BodySender::send_from_fetch(Follower& follower, std::uint64_t available) {
    co_await BulkTurn{};
    auto& loop = call_.cache.loop();
    int file = follower.progress().file;
    sent_unverified_ = true;
    if (keeps_up_) {
        auto recent = follower.recent(offset_);
        if (recent)
            co_return co_await send_recent(
                follower, recent.bytes().first(std::min<std::uint64_t>(recent.bytes().size(), available - offset_)));
    }
    bool doubted = follower.progress().doubt.holds(loop.time());
    auto here = [&](std::uint64_t bytes) { return loop.ring().resident(file, offset_, bytes, doubted); };
    auto slice = longest_part(std::min(slice_bytes, available - offset_), chunk_bytes, here);
    if (slice == 0) {
        // The client is so far behind that its part left the page cache, or never was there.
        if (available - offset_ > RecentPieces::pieces_max * BufferPool::buffer_bytes) follower.need_memory();
        auto brought = co_await bring_in(follower.progress(), std::min(chunk_bytes, available - offset_));
        if (!brought) co_return brought.error();
        slice = *brought;
    }
    co_return co_await send_range(file, slice, from_fetch_);
}

/// Out of the buffer in which it came. Who does not take it at once gets the rest by way of the page cache.
Task<Result<void>> BodySender::send_recent(Follower& follower, Bytes piece) {
    // What follows may not be here for long: nothing of this piece waits for it in the socket.
    auto taken = co_await call_.exchange.stream().send_some(piece, false, call_.cache.loop().time() + buffer_patience);
    if (!taken) co_return taken.error();
    sent(*taken, from_fetch_);
    keeps_up_ = *taken == piece.size();
    if (!keeps_up_) follower.need_memory();
    co_return Result<void>();
}

Task<Result<std::uint64_t>> BodySender::bring_in(const FetchProgress& fetch, std::uint64_t length) {
    auto& loop = call_.cache.loop();
    auto buffer = co_await call_.cache.buffers().take(loop.time() + buffer_wait);
    if (!buffer) co_return Error{Fault::client, Code::busy};
    auto into = buffer.bytes().first(length);
    fetch.doubt.read_begins();
    auto read = co_await read_file(fetch.file, into, offset_, buffer.index());
    fetch.doubt.read_ended(loop.time());
    if (read <= 0) co_return Error{Fault::storage, Code::io_failed, -read};
    co_return static_cast<std::uint64_t>(read);
}

/// The store gave up under a fetch that we followed. What was sent of it is not verified, so its digest goes on from the very bytes that left: were a fresh transfer verified on its
/// own, a wrong beginning and a right end could make a complete lie.
Task<Result<void>> BodySender::bypass_after(const FetchProgress& fetch) {
    Digester digester(digest_.algorithm());
    if (!sent_unverified_) co_return co_await send_bypassing(0, digester);
    auto buffer = co_await call_.cache.buffers().take(call_.cache.loop().time() + buffer_wait);
    if (!buffer) co_return Error{Fault::client, Code::busy};
    for (std::uint64_t hashed = 0; hashed < offset_;) {
        auto into = buffer.bytes().first(std::min<std::uint64_t>(buffer.bytes().size(), offset_ - hashed));
        auto read = co_await read_file(fetch.file, into, hashed, buffer.index());
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read <= 0) co_return Error{Fault::storage, Code::io_failed, -read};
        digester.update(into.first(static_cast<std::size_t>(read)));
        hashed += static_cast<std::uint64_t>(read);
    }
    buffer.release();
    co_return co_await send_bypassing(offset_, digester);
}

/// Straight from upstream. `digester` has seen the blob up to `from`, and all behind it is read, whatever part is wanted, because only the whole can be verified. The newest piece is
/// always kept back, so the last leaves only after the digest matched.
Task<Result<void>> BodySender::send_bypassing(std::uint64_t from, Digester digester) {
    auto opened = co_await call_.cache.open_bypass(call_.source, digest_, from);
    if (!opened) co_return opened.error().error;
    auto exchange = *std::move(opened);
    auto skip = from - std::min(from, exchange->range_start());  // an upstream that knows no Range begins at the beginning
    std::vector<std::byte> held, next(BufferPool::buffer_bytes);
    std::uint64_t position = from;  // of the first byte of `held`
    std::uint64_t received = from;
    Result<void> outcome;
    if (exchange->range_start() > from) outcome = Error{Fault::upstream, Code::bad_message};
    for (bool ended = false; outcome && !ended;) {
        auto got = co_await exchange->read(next);
        if (!got) {
            outcome = got.error();
            break;
        }
        ended = *got == 0;
        auto skipped = std::min<std::uint64_t>(skip, *got);
        skip -= skipped;
        auto piece = Bytes(next).first(*got).subspan(skipped);
        if (piece.empty() && !ended) continue;
        digester.update(piece);
        received += piece.size();
        // The head may have promised the length of a fetch that lied: right bytes up to there would be a complete answer that lacks the rest.
        if (ended && received != length_) outcome = Error{Fault::upstream, Code::wrong_length};
        if (ended && outcome && !(digester.finish() == digest_)) outcome = Error{Fault::upstream, Code::wrong_digest};
        auto held_end = position + held.size();
        // The last wanted bytes stay here until the end, though what follows them is not wanted: it decides whether they are right.
        if (!ended && held_end >= end_) continue;
        if (outcome && offset_ < std::min(held_end, end_)) {
            auto bytes = Bytes(held).subspan(offset_ - position, std::min(held_end, end_) - offset_);
            outcome = co_await send_bytes(bytes, ServedFrom::bypass);
        }
        position = held_end;
        held.assign(piece.begin(), piece.end());
    }
    co_await exchange->finish();
    if (outcome && offset_ < end_) outcome = Error{Fault::upstream, Code::wrong_length};
    if (!outcome && outcome.error().code == Code::wrong_digest) call_.cache.counters().digest_mismatches.add();
    co_return outcome;
}

}  // namespace

Task<Result<void>> send_body(Call& call, const Digest& digest, BlobSource source, BlobPart part) {
    BodySender sender(call, digest, part);
    co_return co_await sender.send(std::move(source));
}

}  // namespace entrepot
