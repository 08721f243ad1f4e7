#include "registry/reply.h"

#include "entrepot/base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace entrepot {
namespace {

struct Answer {
    std::uint16_t status;
    OciCode code;
    std::string_view words;
};

/// One status per kind of failure. 401 becomes 403: the client's own login could not help, and a 401 without a challenge confuses clients. Nothing sheds load with 5xx.
Answer answer_to(const Error& error, OciCode not_found_code) {
    switch (error.code) {
        case Code::not_found: return {404, not_found_code, "the source does not have it"};
        case Code::unauthorized: return {403, OciCode::denied, "unauthorized: authentication required with source registry"};
        case Code::denied: return {403, OciCode::denied, "denied: the source registry refuses access"};
        case Code::too_many_requests: return {429, OciCode::too_many_requests, "too many requests to source registry"};
        case Code::timeout: return {504, OciCode::unavailable, "the source registry did not answer in time"};
        case Code::wrong_digest: return {502, OciCode::unavailable, "the source registry sent wrong bytes"};
        case Code::stopping: return {503, OciCode::unavailable, "the server is stopping"};
        case Code::busy: return {503, OciCode::unavailable, "too many requests are waiting"};
        default: return {502, OciCode::unavailable, "the source registry cannot be used"};
    }
}

/// "00" to "ff": a digest's text is made for each answer.
constexpr auto hex_pairs = [] {
    constexpr char digits[] = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t byte = 0; byte < pairs.size(); ++byte) pairs[byte] = {digits[byte >> 4], digits[byte & 15]};
    return pairs;
}();

}  // namespace

EtagText::EtagText(const Digest& digest) noexcept {
    auto name = digest.algorithm_name();
    char* at = text_.data();
    *at++ = '"';
    at = std::copy(name.begin(), name.end(), at);
    *at++ = ':';
    for (auto byte : digest.raw()) {
        std::memcpy(at, hex_pairs[std::to_integer<std::size_t>(byte)].data(), 2);
        at += 2;
    }
    *at++ = '"';
    size_ = static_cast<std::size_t>(at - text_.data());
}

void begin_head(HeadWriter& writer, Exchange& exchange, std::uint16_t status, std::string_view ns) {
    exchange.begin(writer, status);
    writer.prepared("Docker-Distribution-Api-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n");
    if (!ns.empty()) writer.field("OCI-Namespace", ns);
}

Task<After> reply_body(Exchange& exchange, std::uint16_t status, std::string_view ns, std::string_view media_type,
                       std::string body, std::string_view more_lines) {
    HeadSpace space;
    HeadWriter writer(space);
    begin_head(writer, exchange, status, ns);
    auto head = writer.field("Content-Type", media_type).field("Content-Length", body.size()).prepared(more_lines).finish();
    ASSERT(head);
    auto bytes = exchange.is_head_request() ? Bytes() : bytes_of(body);
    auto sent = co_await exchange.send_last(bytes_of(*head), bytes);
    co_return sent ? exchange.finished() : After::abort;
}

Task<After> reply_error(Exchange& exchange, std::uint16_t status, OciCode code, std::string message, std::string_view ns,
                        std::string_view more_lines) {
    auto body = error_body(code, message);
    auto reply = reply_body(exchange, status, ns, "application/json", std::move(body), more_lines);
    co_return co_await reply;
}

Task<After> reply_failure(Call& call, const UpstreamFailure& failure, OciCode not_found_code) {
    auto answer = answer_to(failure.error, not_found_code);
    auto message = fmt::format("{} ('{}' for cache rule '{}'): {}", answer.words, call.source.ledger_name, call.rule->name(),
                               escaped(failure.why, 300));
    std::string lines;
    bool wait_helps = answer.status == 429 || answer.status == 503;
    auto wait_seconds = std::chrono::duration_cast<seconds>(failure.retry_after).count();
    if (wait_helps) lines = fmt::format("Retry-After: {}\r\n", std::max<long>(1, wait_seconds));
    auto reply = reply_error(call.exchange, answer.status, answer.code, std::move(message), call.ns, lines);
    co_return co_await reply;
}

Task<After> refuse_by_rule(Call& call, OciCode code, std::string why) {
    auto message = fmt::format("cache rule '{}' {}", call.rule->name(), why);
    auto reply = reply_error(call.exchange, 404, code, std::move(message), call.ns);
    co_return co_await reply;
}

Task<After> reply_range_unsatisfiable(Call& call, std::uint64_t length) {
    auto lines = fmt::format("Content-Range: bytes */{}\r\n", length);
    auto reply = reply_error(call.exchange, 416, OciCode::range_invalid,
                             fmt::format("the range lies outside the blob of {} bytes", length), call.ns, lines);
    co_return co_await reply;
}

Task<After> reply_not_modified(Call& call, std::string_view etag, Served served, std::string_view more_lines) {
    HeadSpace space;
    HeadWriter writer(space);
    begin_head(writer, call.exchange, 304, call.ns);
    call.exchange.served = name_of(served);
    auto head = writer.field("ETag", etag).field("X-Entrepot-Cache", call.exchange.served).prepared(more_lines).finish();
    ASSERT(head);
    auto sent = co_await call.exchange.send_last(bytes_of(*head), {});
    co_return sent ? call.exchange.finished() : After::abort;
}

}  // namespace entrepot
