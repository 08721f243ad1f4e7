// GET and HEAD of a manifest, by tag or by digest.

#include "entrepot/http/accept.h"
#include "entrepot/http/conditional.h"
#include "registry/reply.h"
#include "registry/send_body.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr std::string_view warning_stale = "Warning: 110 entrepot \"Response is Stale\"\r\n";

Task<After> send_manifest(Call& call, ManifestAnswer answer, bool by_tag) {
    auto text = answer.digest.text();
    Result<void> sent;
    {
        HeadSpace space;
        HeadWriter writer(space);
        begin_head(writer, call.exchange, 200, call.ns);
        writer.field("Content-Type", answer.media_type).field("Content-Length", answer.size).field("Docker-Content-Digest", text);
        writer.field("ETag", fmt::format("\"{}\"", text)).field("X-Entrepot-Cache", name_of(answer.served));
        if (by_tag) writer.field("Age", static_cast<std::uint64_t>(answer.age_seconds));
        if (answer.served == Served::stale) writer.prepared(warning_stale);
        auto head = writer.finish();
        if (!head) co_return co_await reply_error(call.exchange, 502, OciCode::manifest_invalid, "the manifest's media type cannot be written", call.ns);
        bool in_memory = answer.content && answer.content->body;
        auto body = !call.exchange.is_head_request() && in_memory ? bytes_of(*answer.content->body) : Bytes();
        bool more = !call.exchange.is_head_request() && !in_memory;
        sent = co_await call.exchange.stream().send(bytes_of(*head), body, more, call.cache.loop().time() + send_stall_max);
        if (sent) call.counters.served_bytes[static_cast<std::size_t>(ServedFrom::hit)].add(body.size());
        if (!more || !sent) co_return sent ? call.exchange.finished() : After::abort;
    }
    BlobSource source;
    source.hot = answer.content;
    source.length = answer.size;
    BlobPart whole{0, answer.size, false};
    auto done = co_await send_body(call, answer.digest, std::move(source), whole);
    co_return done ? call.exchange.finished() : After::abort;
}

}  // namespace

Task<After> serve_manifest(Call& call, const RequestTarget& target) {
    auto& head = call.exchange.head();
    bool by_tag = !target.tag.empty();
    std::optional<ManifestAnswer> answer;
    if (by_tag) {
        answer = call.cache.find_hot_tag(call.source, target.tag);
    } else if (auto hot = call.cache.find_hot(call.source, *target.digest); hot && !hot->media_type.empty()) {
        answer.emplace();
        answer->digest = *target.digest;
        answer->media_type = hot->media_type;
        answer->size = hot->size();
        answer->content = std::move(hot);
    }
    // What the client accepts and has must be known before the head goes.
    std::string accept;
    for (auto line : head.accept.values()) accept.append(accept.empty() ? "" : ", ").append(line);
    std::string if_none_match;
    for (auto line : head.if_none_match.values()) if_none_match.append(if_none_match.empty() ? "" : ", ").append(line);

    if (!answer) {
        std::string tag(target.tag);
        auto digest = target.digest.value_or(Digest());
        call.exchange.release_head();
        auto opened = co_await call.cache.open_manifest(call.source, std::move(tag), digest, call.exchange.is_head_request());
        if (!opened) co_return co_await reply_failure(call, opened.error(), OciCode::manifest_unknown);
        answer = *std::move(opened);
    }
    std::string_view accept_line = accept, none_match_line = if_none_match;
    if (!accept.empty() && !accepts(FieldValues(&accept_line, 1), answer->media_type)) {
        auto message = fmt::format("the manifest is {}, which the request does not accept", answer->media_type);
        co_return co_await reply_error(call.exchange, 404, OciCode::manifest_unknown, std::move(message), call.ns);
    }
    auto etag = "\"" + answer->digest.text() + "\"";
    if (!if_none_match.empty() && if_none_match_hits(FieldValues(&none_match_line, 1), etag)) co_return co_await reply_not_modified(call, etag, answer->served);
    co_return co_await send_manifest(call, *std::move(answer), by_tag);
}

}  // namespace entrepot
