#include "cli/answer_reader.h"

#include "entrepot/http/chunked.h"

namespace entrepot::cli {
namespace {

constexpr std::size_t receive_bytes = 64 * 1024;
constexpr std::string_view not_http = "does not answer as an entrepot does (no HTTP)";
constexpr std::string_view too_long = "sends more than an answer may hold";
constexpr std::string_view cut = "ended its answer early";

using Problem = AnswerReader::Problem;

}  // namespace

Result<bool, Problem> AnswerReader::fill() {
    std::size_t have = received_.size();
    received_.resize(have + receive_bytes);
    auto got = connection_.receive({reinterpret_cast<std::byte*>(received_.data() + have), receive_bytes});
    received_.resize(have + (got ? *got : 0));
    if (!got) return Problem(got.error());
    return *got > 0;
}

Result<AdminAnswer, Problem> AnswerReader::read() {
    AdminAnswer answer;
    auto head = read_head(answer);
    if (!head) return head.error();
    auto body = framing_.kind == BodyFraming::Kind::chunked ? read_chunks(answer.body) : read_body(answer.body);
    if (!body) return body.error();
    return answer;
}

Result<void, Problem> AnswerReader::read_head(AdminAnswer& answer) {
    ResponseHead head;
    for (int interim = 0; interim <= AdminClient::interim_answers_max;) {
        head.clear();
        auto parsed = parse_response_head(received_, head);
        if (parsed.state == ParseState::error || parsed.state == ParseState::tls_hello) return Problem(not_http);
        if (parsed.state == ParseState::incomplete) {
            auto more = fill();
            if (!more) return more.error();
            if (!*more) return Problem(received_.empty() ? std::string_view("closed the connection without an answer") : cut);
            continue;
        }
        bool final = head.status >= 200;
        if (final) {
            answer.status = head.status;
            answer.content_type = head.content_type;
            answer.etag = head.etag;
            framing_ = body_framing(head, false);
        }
        received_.erase(0, parsed.consumed);
        if (final) return {};
        ++interim;
    }
    return Problem(not_http);
}

Result<void, Problem> AnswerReader::read_body(std::string& body) {
    const bool by_length = framing_.kind != BodyFraming::Kind::until_close;
    if (by_length && framing_.length > AdminClient::answer_bytes_max) return Problem(too_long);
    while (!by_length || received_.size() < framing_.length) {
        if (received_.size() > AdminClient::answer_bytes_max) return Problem(too_long);
        auto more = fill();
        if (!more) return more.error();
        if (!*more && by_length) return Problem(cut);
        if (!*more) break;
    }
    body = std::move(received_);
    if (by_length) body.resize(framing_.length);
    return {};
}

Result<void, Problem> AnswerReader::read_chunks(std::string& body) {
    ChunkedDecoder decoder;
    for (;;) {
        Bytes input = bytes_of(received_);
        while (!input.empty()) {
            auto step = decoder.step(input);
            if (step.state == ChunkedDecoder::State::error) return Problem(not_http);
            if (body.size() + step.data.size() > AdminClient::answer_bytes_max) return Problem(too_long);
            body += text_of(step.data);
            if (step.state == ChunkedDecoder::State::done) return {};
            input = input.subspan(step.consumed);
        }
        received_.clear();
        auto more = fill();
        if (!more) return more.error();
        if (!*more) return Problem(cut);
    }
}

}  // namespace entrepot::cli
