#include "entrepot/http/request_body.h"

#include <algorithm>

namespace entrepot {

RequestBody::RequestBody(const RequestHead& head, std::size_t bytes_max) noexcept : chunked_(head.chunked) {
    left_ = chunked_ ? bytes_max : head.content_length.value_or(0);
    if (!has_body(head)) state_ = State::complete;
    else if (left_ > bytes_max) state_ = State::too_large;
}

RequestBody::Step RequestBody::take(Bytes input, std::string& body) {
    if (state_ != State::more) return {.state = state_};
    const Step step = chunked_ ? take_chunks(input, body) : take_length(input, body);
    state_ = step.state;
    return step;
}

RequestBody::Step RequestBody::take_length(Bytes input, std::string& body) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
    body.append(text_of(input.first(size)));
    left_ -= size;
    return {.state = left_ == 0 ? State::complete : State::more, .consumed = size};
}

RequestBody::Step RequestBody::take_chunks(Bytes input, std::string& body) {
    std::size_t consumed = 0;
    for (;;) {
        const auto step = chunks_.step(input.subspan(consumed));
        consumed += step.consumed;
        if (step.state == ChunkedDecoder::State::error) return {.state = State::malformed, .consumed = consumed};
        if (step.data.size() > left_) return {.state = State::too_large, .consumed = consumed};
        left_ -= step.data.size();
        body.append(text_of(step.data));
        // A chunk that promises more than may come needs no waiting for.
        if (chunks_.chunk_bytes_left() > left_) return {.state = State::too_large, .consumed = consumed};
        if (step.state == ChunkedDecoder::State::done) return {.state = State::complete, .consumed = consumed};
        if (consumed == input.size()) return {.state = State::more, .consumed = consumed};
    }
}

}  // namespace entrepot
