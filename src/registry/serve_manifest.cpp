// GET and HEAD of a manifest, by tag or by digest.

#include "entrepot/http/accept.h"
#include "entrepot/http/conditional.h"
#include "entrepot/oci/manifest.h"
#include "entrepot/rules/rule_policy.h"
#include "registry/admission.h"
#include "registry/reply.h"
#include "registry/send_body.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr std::string_view warning_stale = "Warning: 110 entrepot \"Response is Stale\"\r\n";

Task<After> send_manifest(Call& call, ManifestAnswer answer, bool by_tag) {
    Result<void> sent;
    {
        HeadSpace space;
        HeadWriter writer(space);
        EtagText text(answer.digest);
        begin_head(writer, call.exchange, 200, call.ns);
        writer.field("Content-Type", answer.type())
            .field("Content-Length", answer.size)
            .field("Docker-Content-Digest", text.digest());
        call.exchange.served = name_of(answer.served);
        writer.field("ETag", text.etag()).field("X-Entrepot-Cache", call.exchange.served);
        if (by_tag) writer.field("Age", static_cast<std::uint64_t>(answer.age_seconds));
        if (answer.served == Served::stale) writer.prepared(warning_stale);
        auto head = writer.finish();
        if (!head)
            co_return co_await reply_error(call.exchange, 502, OciCode::manifest_invalid,
                                           "the manifest's media type cannot be written", call.ns);
        bool in_memory = answer.content && answer.content->body;
        auto body = !call.exchange.is_head_request() && in_memory ? bytes_of(*answer.content->body) : Bytes();
        bool more = !call.exchange.is_head_request() && !in_memory;
        if (more)
            sent = co_await call.exchange.stream().send(bytes_of(*head), {}, true, call.cache.loop().time() + send_stall_max);
        else sent = co_await call.exchange.send_last(bytes_of(*head), body);
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

enum class Verdict : std::uint8_t { send, not_modified, not_acceptable };

/// What the client accepts and already has, against what we would send.
Verdict judge(FieldValues accept, FieldValues if_none_match, const ManifestAnswer& answer) noexcept {
    if (!accepts(accept, answer.type())) return Verdict::not_acceptable;
    if (if_none_match.empty()) return Verdict::send;
    EtagText text(answer.digest);
    return if_none_match_hits(if_none_match, text.etag()) ? Verdict::not_modified : Verdict::send;
}

/// The two fields, copied out of a head that is about to be given back.
class Wishes {
  public:
    explicit Wishes(const RequestHead& head)
        : accept_(head.accept.values().begin(), head.accept.values().end()),
          if_none_match_(head.if_none_match.values().begin(), head.if_none_match.values().end()) {}
    Verdict judge(const ManifestAnswer& answer) const {
        std::vector<std::string_view> accept(accept_.begin(), accept_.end()),
            if_none_match(if_none_match_.begin(), if_none_match_.end());
        return entrepot::judge(accept, if_none_match, answer);
    }

  private:
    std::vector<std::string> accept_, if_none_match_;
};

std::optional<ManifestAnswer> find_hot_answer(Call& call, const RequestTarget& target) {
    if (!target.tag.empty()) return call.cache.find_hot_tag(call.source, target.tag);
    auto hot = call.cache.find_hot(call.source, *target.digest);
    if (!hot || hot->media_type.empty()) return std::nullopt;
    ManifestAnswer answer;
    answer.digest = *target.digest;
    answer.size = hot->size();
    answer.content = std::move(hot);
    return answer;
}

Task<After> reply_unacceptable(Call& call, std::string media_type) {
    auto message = fmt::format("the manifest is {}, which the request does not accept", media_type);
    co_return co_await reply_error(call.exchange, 404, OciCode::manifest_unknown, std::move(message), call.ns);
}

Task<After> reply_unchanged(Call& call, Digest digest, Served served) {
    EtagText text(digest);
    co_return co_await reply_not_modified(call, text.etag(), served);
}

/// No coroutine of its own: the answer is moved once, into the one that sends it.
Task<After> reply_with(Call& call, ManifestAnswer answer, Verdict verdict, bool by_tag) {
    switch (verdict) {
        case Verdict::not_acceptable: return reply_unacceptable(call, std::string(answer.type()));
        case Verdict::not_modified: return reply_unchanged(call, answer.digest, answer.served);
        case Verdict::send: break;
    }
    return send_manifest(call, std::move(answer), by_tag);
}

bool is_index(std::string_view type) noexcept {
    return same_media_type(type, media_type::oci_index) || same_media_type(type, media_type::docker_list);
}

/// A rule with platforms serves an index as it is, byte for byte: its digest names all of its children. Of these, and of images that stand alone, it serves those that run on
/// its platforms, by tag and by digest. What a child runs on the index said that upstream named it by; of others their config tells.
Task<After> serve_by_platform(Call& call, const RequestTarget& target) {
    Wishes wishes(call.exchange.head());
    std::string tag(target.tag);
    bool by_tag = !tag.empty();
    auto digest = target.digest.value_or(Digest());
    call.exchange.release_head();
    name_client(call);
    auto told = by_tag ? std::nullopt : call.cache.told_platform(call.source, digest);
    auto refusal = told ? why_not_platform(*call.rule, *told) : std::string();
    if (!refusal.empty()) co_return co_await refuse_by_rule(call, OciCode::manifest_unknown, std::move(refusal));
    auto opened = co_await call.cache.open_manifest(call.source, std::move(tag), digest, false);
    if (!opened) co_return co_await reply_failure(call, opened.error(), OciCode::manifest_unknown);
    if (!is_index(opened->type())) {
        auto platform = co_await call.cache.platform_of(call.source, *opened);
        if (!platform) co_return co_await reply_failure(call, platform.error(), OciCode::manifest_unknown);
        refusal = why_not_platform(*call.rule, *platform);
    }
    if (!refusal.empty()) co_return co_await refuse_by_rule(call, OciCode::manifest_unknown, std::move(refusal));
    auto verdict = wishes.judge(*opened);
    auto reply = reply_with(call, *std::move(opened), verdict, by_tag);
    co_return co_await reply;
}

}  // namespace

Task<After> serve_manifest(Call& call, const RequestTarget& target) {
    auto& head = call.exchange.head();
    bool by_tag = !target.tag.empty();
    auto refusal = by_tag ? why_not_tag(*call.rule, target.tag) : std::string();
    if (!refusal.empty()) co_return co_await refuse_by_rule(call, OciCode::manifest_unknown, std::move(refusal));
    if (!call.rule->platforms().empty()) co_return co_await serve_by_platform(call, target);
    auto hot = find_hot_answer(call, target);
    if (hot) {
        // What most requests are: judged on the head where it lies, no copy, no wait before the answer.
        auto verdict = judge(head.accept, head.if_none_match, *hot);
        call.exchange.release_head();
        auto reply = reply_with(call, *std::move(hot), verdict, by_tag);
        co_return co_await reply;
    }
    Wishes wishes(head);
    std::string tag(target.tag);
    auto digest = target.digest.value_or(Digest());
    call.exchange.release_head();
    name_client(call);
    auto opened = co_await call.cache.open_manifest(call.source, std::move(tag), digest, call.exchange.is_head_request());
    if (!opened) co_return co_await reply_failure(call, opened.error(), OciCode::manifest_unknown);
    auto verdict = wishes.judge(*opened);
    auto reply = reply_with(call, *std::move(opened), verdict, by_tag);
    co_return co_await reply;
}

}  // namespace entrepot
