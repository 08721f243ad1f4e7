// GET and HEAD of a blob: a hit, a joined fetch and our own fetch differ only behind `source`.

#include "entrepot/http/conditional.h"
#include "registry/admission.h"
#include "registry/reply.h"
#include "registry/send_body.h"

namespace entrepot {
namespace {

constexpr std::string_view kept_for_ever = "Cache-Control: public, max-age=31536000, immutable\r\n";

std::string_view blob_head(HeadWriter& writer, Call& call, const Digest& digest, std::uint64_t length, BlobPart part,
                           Served served) {
    begin_head(writer, call.exchange, part.partial ? 206 : 200, call.ns);
    EtagText text(digest);
    writer.prepared("Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n").prepared(kept_for_ever);
    writer.field("Content-Length", part.length).field("Docker-Content-Digest", text.digest()).field("ETag", text.etag());
    call.exchange.served = name_of(served);
    writer.field("X-Entrepot-Cache", call.exchange.served);
    if (part.partial) writer.content_range(part, length);
    auto head = writer.finish();
    ASSERT(head);
    return *head;
}

Task<After> send_head_only(Call& call, const Digest& digest, const BlobLength& length) {
    HeadSpace space;
    HeadWriter writer(space);
    // A Range is defined for GET alone (RFC 9110 section 14.2): a HEAD tells about the whole.
    BlobPart whole{0, length.bytes, false};
    auto head = blob_head(writer, call, digest, length.bytes, whole, length.served);
    auto sent = co_await call.exchange.send_last(bytes_of(head), {});
    co_return sent ? call.exchange.finished() : After::abort;
}

/// Head and body in one piece: the whole answer to most requests.
Task<After> send_small(Call& call, HotRef blob, BlobPart part) {
    HeadSpace space;
    HeadWriter writer(space);
    auto head = blob_head(writer, call, blob->digest(), blob->size(), part, Served::hit);
    auto body = bytes_of(*blob->body).subspan(part.offset, part.length);
    auto sent = co_await call.exchange.send_last(bytes_of(head), body);
    if (sent) call.counters.served_bytes[static_cast<std::size_t>(ServedFrom::hit)].add(body.size());
    co_return sent ? call.exchange.finished() : After::abort;
}

Task<After> send_whole(Call& call, const Digest& digest, BlobSource source, BlobPart part) {
    // The turn comes before the head: behind thousands of bodies it comes later than the 200 ms for which the kernel keeps a head back (tcp(7),
    // TCP_CORK), and a head that left alone has woken the client for nothing.
    bool body_is_here = source.hot != nullptr;
    if (body_is_here) co_await BulkTurn{};
    {
        HeadSpace space;
        HeadWriter writer(space);
        auto head = blob_head(writer, call, digest, source.length, part, source.served);
        // Head and first body bytes leave in one segment, unless the bytes are not here yet: then the head must not wait for them.
        auto sent = co_await call.exchange.stream().send(bytes_of(head), {}, body_is_here && part.length > 0,
                                                         call.cache.loop().time() + send_stall_max);
        if (!sent) co_return After::abort;
    }
    auto done = co_await send_body(call, digest, std::move(source), part);
    co_return done ? call.exchange.finished() : After::abort;
}

}  // namespace

Task<After> serve_blob(Call& call, const RequestTarget& target) {
    auto digest = *target.digest;
    auto& head = call.exchange.head();
    EtagText text(digest);
    auto tag = text.etag();
    auto range = if_range_holds(head.if_range, tag) ? parse_range(head.range) : RangeRequest{};
    bool not_modified = !head.if_none_match.empty() && if_none_match_hits(head.if_none_match, tag);

    // A client that names the digest's own tag has the bytes already; but only who may have them learns that they are here.
    auto hot = call.cache.find_hot(call.source, digest);
    call.exchange.release_head();
    if (!hot) name_client(call);
    if (call.exchange.is_head_request() || not_modified) {
        auto length = co_await call.cache.blob_length(call.source, digest);
        if (!length) co_return co_await reply_failure(call, length.error(), OciCode::blob_unknown);
        if (not_modified) co_return co_await reply_not_modified(call, tag, length->served, kept_for_ever);
        co_return co_await send_head_only(call, digest, *length);
    }

    BlobSource source;
    if (hot) {
        source.hot = std::move(hot);
        source.length = source.hot->size();
    } else {
        auto opened = co_await call.cache.open_blob(call.source, digest);
        if (!opened) co_return co_await reply_failure(call, opened.error(), OciCode::blob_unknown);
        source = *std::move(opened);
    }
    auto part = range.within(source.length);
    if (!part) co_return co_await reply_range_unsatisfiable(call, source.length);
    if (source.hot && source.hot->body) co_return co_await send_small(call, std::move(source.hot), *part);
    co_return co_await send_whole(call, digest, std::move(source), *part);
}

}  // namespace entrepot
