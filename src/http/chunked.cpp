#include "entrepot/http/chunked.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
ChunkedDecoder::Step ChunkedDecoder::step(Bytes input) noexcept {
    std::size_t at = 0;
    while (at < input.size() && stage_ != Stage::done && stage_ != Stage::failed) {
        if (stage_ != Stage::data) {
            take(static_cast<unsigned char>(input[at++]));
            continue;
        }
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - at));
        left_ -= size;
        if (left_ == 0) stage_ = Stage::data_cr;
        return {.state = State::more, .consumed = at + size, .data = input.subspan(at, size)};
    }
    const State state = stage_ == Stage::done ? State::done : stage_ == Stage::failed ? State::error : State::more;
    return {.state = state, .consumed = at, .data = {}};
}

// Every byte that is not data. A byte that no case expects fails the body for good.
void ChunkedDecoder::take(unsigned char byte) noexcept {
    const auto expect = [&](unsigned char wanted, Stage next) { stage_ = byte == wanted ? next : Stage::failed; };
    switch (stage_) {
        case Stage::size_first:
        case Stage::size: return take_size(byte);
        case Stage::extension: return take_extension(byte);
        case Stage::size_lf: expect('\n', left_ == 0 ? Stage::trailer_first : Stage::data); return;
        case Stage::data_cr: return expect('\r', Stage::data_lf);
        case Stage::data_lf: return expect('\n', Stage::size_first);
        case Stage::trailer_first:
        case Stage::trailer_name:
        case Stage::trailer_value: return take_trailer(byte);
        case Stage::trailer_lf: return expect('\n', Stage::trailer_first);
        case Stage::end_lf: return expect('\n', Stage::done);
        case Stage::data:
        case Stage::done:
        case Stage::failed: break;
    }
    stage_ = Stage::failed;
}

void ChunkedDecoder::take_size(unsigned char byte) noexcept {
    const int digit = scan::hex_digit(static_cast<char>(byte));
    if (digit >= 0) {
        if (stage_ == Stage::size_first) left_ = size_digits_ = 0;
        left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
        stage_ = ++size_digits_ <= size_digits_max ? Stage::size : Stage::failed;
        return;
    }
    const bool has_digit = stage_ == Stage::size;
    extension_bytes_ = 0;
    if (has_digit && byte == '\r') stage_ = Stage::size_lf;
    else if (has_digit && byte == ';') take_extension(byte);
    else stage_ = Stage::failed;
}

// What an extension says means nothing to us; it only must not hide a line end or go on for ever.
void ChunkedDecoder::take_extension(unsigned char byte) noexcept {
    if (byte == '\r') {
        stage_ = Stage::size_lf;
        return;
    }
    const bool is_within_bounds = ++extension_bytes_ <= extension_bytes_max && ++extensions_bytes_ <= extensions_bytes_max;
    stage_ = is_within_bounds && !scan::is_control(byte) ? Stage::extension : Stage::failed;
}

// Trailer fields are validated like header fields and dropped (RFC 9110 section 6.5.1: never merged into the head).
void ChunkedDecoder::take_trailer(unsigned char byte) noexcept {
    const bool is_line_start = stage_ == Stage::trailer_first;
    if (byte == '\r' && stage_ != Stage::trailer_name) {
        stage_ = is_line_start ? Stage::end_lf : Stage::trailer_lf;
        return;
    }
    bool is_valid = ++trailer_bytes_ <= trailer_bytes_max;
    if (stage_ == Stage::trailer_value) {
        is_valid = is_valid && !scan::is_control(byte);
    } else if (byte == ':' && !is_line_start) {
        stage_ = Stage::trailer_value;
    } else {
        is_valid = is_valid && scan::is(static_cast<char>(byte), scan::token_char);
        stage_ = Stage::trailer_name;
    }
    if (!is_valid) stage_ = Stage::failed;
}

}  // namespace entrepot
