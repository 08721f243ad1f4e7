#include "upstream/documents.h"

#include "entrepot/http/date.h"
#include "entrepot/http/token.h"
#include "upstream/request.h"
#include "upstream/secret.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr Duration retry_after_max = std::chrono::hours(1);

/// No copy stays behind in outgrown memory.
void append_secret(std::string& text, std::initializer_list<std::string_view> parts) {
    auto size = text.size();
    for (auto part : parts) size += part.size();
    std::string longer;
    longer.reserve(size);
    longer.append(text);
    for (auto part : parts) longer.append(part);
    wipe(text);
    text = std::move(longer);
}

std::string head_of(const DocumentRequest& request) {
    auto target = request.url.target();
    ASSERT(target.find_first_of(" \r\n") == std::string::npos);
    auto head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept-Encoding: identity\r\n", request.method,
                            target, request.url.origin.authority(), user_agent);
    head.reserve(head.size() + request.fields.size() + request.form.size() + 128);  // no copy stays behind in outgrown memory
    head += request.fields;
    if (!request.form.empty())
        head += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", request.form_type, request.form.size());
    head += "\r\n";
    head += request.form;
    return head;  // itself: what += gives would be copied
}

}  // namespace

std::optional<seconds> obeyed_retry_after(std::string_view field) {
    return parse_retry_after(field, wall_seconds(), std::chrono::duration_cast<seconds>(retry_after_max));
}

DocumentRequest::~DocumentRequest() {
    wipe(fields);
    wipe(form);
}

ServiceDocument::~ServiceDocument() { wipe(text); }

void DocumentRequest::add_field(std::string_view name, std::string_view value) {
    append_secret(fields, {name, ": ", value, "\r\n"});
}

void DocumentRequest::add_to_form(std::string_view name, std::string_view value) {
    method = "POST";
    auto encoded = percent_encode(value);
    append_secret(form, {form.empty() ? "" : "&", name, "=", encoded});
    wipe(encoded);
}

Task<DocumentAnswer> Documents::ask(const UpstreamState& place, DocumentRequest request) {
    auto deadline = Loop::current().time() + pool_.options().connect_timeout + pool_.options().first_byte_timeout;
    auto sent = co_await send(place, request);
    if (!sent) co_return sent.error();
    auto connection = *std::move(sent);
    ServiceDocument document;
    document.status = connection->head().status;
    document.retry_after = obeyed_retry_after(connection->head().retry_after);
    if (document.status == 401) document.challenges = parse_challenges(connection->head().www_authenticate);
    std::optional<UpstreamFailure> failure;
    std::vector<std::byte> piece(16 * KiB);
    document.text.reserve(token_document_bytes_max + piece.size());  // no copy stays behind in outgrown memory
    auto said_by = request.url.origin.text();
    while (!failure) {
        auto got = co_await connection->read_body(piece, deadline);
        if (!got) failure = make_failure(Fault::upstream, got.error().code, fmt::format("{} broke off", said_by));
        else if (*got == 0) break;
        else document.text.append(text_of(Bytes(piece).first(*got)));
        if (document.text.size() > token_document_bytes_max)
            failure = make_failure(Fault::upstream, Code::too_large, fmt::format("{} sent too much", said_by));
    }
    ::explicit_bzero(piece.data(), piece.size());
    co_await pool_.give_back(std::move(connection));
    if (failure) co_return *std::move(failure);
    co_return document;
}

/// An idle connection that the peer closed meanwhile is replaced once by a new one.
Task<Result<std::unique_ptr<UpstreamConnection>, UpstreamFailure>> Documents::send(const UpstreamState& place,
                                                                                   const DocumentRequest& request) {
    auto& options = pool_.options();
    for (bool fresh = false;; fresh = true) {
        auto lease = co_await pool_.open(place, request.url.origin, fresh, Loop::current().time() + options.connect_timeout);
        if (!lease) co_return lease.error();
        auto connection = std::move(lease->connection);
        auto head = head_of(request);
        auto answered = co_await connection->ask(std::move(head), false, Loop::current().time() + options.first_byte_timeout);
        if (answered) co_return connection;
        bool was_stale = lease->reused && connection->silent() && answered.error().code != Code::timeout;
        co_await pool_.give_back(std::move(connection));
        if (was_stale) continue;
        co_return make_failure(
            Fault::upstream, answered.error().code,
            fmt::format("{} did not answer properly ({})", request.url.origin.text(), name_of(answered.error().code)));
    }
}

}  // namespace entrepot
