#include "entrepot/http/chunked.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace entrepot;

namespace {

struct Decoded {
    ChunkedDecoder::State state = ChunkedDecoder::State::more;
    std::size_t consumed = 0;
    std::string data;
};

// Feeds `bytes` in pieces of at most `piece`, as a connection would.
Decoded decode(std::string_view bytes, std::size_t piece) {
    ChunkedDecoder decoder;
    Decoded out;
    while (out.consumed < bytes.size() && out.state == ChunkedDecoder::State::more) {
        const std::string_view input = bytes.substr(out.consumed, piece);
        const auto step = decoder.step(bytes_of(input));
        out.state = step.state;
        out.consumed += step.consumed;
        out.data += text_of(step.data);
        const bool makes_progress = step.state != ChunkedDecoder::State::more || step.consumed > 0;
        const bool is_in_place =
            step.data.empty() || (step.data.data() >= bytes_of(input).data() &&
                                  step.data.data() + step.data.size() <= bytes_of(input).data() + input.size());
        if (!makes_progress || !is_in_place) {
            FAIL("a step without progress, or with data that is not part of the input");
        }
    }
    return out;
}

constexpr auto more = ChunkedDecoder::State::more;
constexpr auto done = ChunkedDecoder::State::done;
constexpr auto error = ChunkedDecoder::State::error;

struct Row {
    const char* what;
    std::string bytes;
    ChunkedDecoder::State state;
    std::string data;
};

void check_rows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(row.what);
        for (std::size_t piece : {std::size_t{1}, std::size_t{3}, row.bytes.size() + 1}) {
            CAPTURE(piece);
            const Decoded out = decode(row.bytes, piece);
            CHECK(out.state == row.state);
            if (row.state != error) CHECK(out.data == row.data);
        }
    }
}

}  // namespace

TEST_CASE("chunked: a body in chunks comes out whole, and what follows it is left alone") {
    const std::string bytes = "4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\nHTTP/1.1 200 OK";
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        CAPTURE(piece);
        const Decoded out = decode(bytes, piece);
        CHECK(out.state == done);
        CHECK(out.data == "Wikipedia in \r\n\r\nchunks.");
        CHECK(bytes.substr(out.consumed) == "HTTP/1.1 200 OK");
    }
}

TEST_CASE("chunked: what is and what is not a chunked body") {
    check_rows({
        {"empty body", "0\r\n\r\n", done, ""},
        {"leading zeros, small and capital letters", "00aA\r\n" + std::string(170, 'x') + "\r\n0\r\n\r\n", done,
         std::string(170, 'x')},
        {"last chunk of many zeros", "000\r\n\r\n", done, ""},
        {"extension", "1;a=b;c=\"d\"\r\nx\r\n0;last\r\n\r\n", done, "x"},
        {"unfinished data", "5\r\nabc", more, "abc"},
        {"unfinished end", "1\r\nx\r\n0\r\n", more, "x"},
        {"LF behind the size", "1\nx\r\n0\r\n\r\n", error, ""},
        {"LF behind the data", "1\r\nx\n0\r\n\r\n", error, ""},
        {"LF at the very end", "1\r\nx\r\n0\r\n\n", error, ""},
        {"CR alone behind the size", "1\rx\r\n0\r\n\r\n", error, ""},
        {"bytes behind the data", "1\r\nxy\r\n0\r\n\r\n", error, ""},
        {"no line end behind the data", "1\r\nx0\r\n\r\n", error, ""},
        {"no size", "\r\nx\r\n", error, ""},
        {"extension without size", ";a\r\nx\r\n", error, ""},
        {"sign", "+1\r\nx\r\n", error, ""},
        {"0x", "0x1\r\nx\r\n", error, ""},
        {"not hexadecimal", "g\r\n", error, ""},
        {"blank before the size", " 1\r\nx\r\n", error, ""},
        {"blank behind the size", "1 \r\nx\r\n", error, ""},
        {"LF inside an extension", "1;a\nb\r\nx\r\n", error, ""},
        {"NUL inside an extension", std::string("1;\0\r\nx\r\n", 8), error, ""},
        {"largest size is still a size", "ffffffffffffffff\r\nx", more, "x"},
        {"17 digits", "10000000000000000\r\nx", error, ""},
        {"17 digits of a small number", "00000000000000001\r\nx", error, ""},
    });
}

TEST_CASE("chunked: trailers are validated and dropped") {
    check_rows({
        {"trailers", "1\r\nx\r\n0\r\nContent-Length: 5\r\nHost: evil\r\nAuthorization: x\r\n\r\n", done, "x"},
        {"empty value", "0\r\nA:\r\n\r\n", done, ""},
        {"no colon", "0\r\nA\r\n\r\n", error, ""},
        {"no name", "0\r\n: x\r\n\r\n", error, ""},
        {"blank in the name", "0\r\nA b: x\r\n\r\n", error, ""},
        {"folded", "0\r\nA: x\r\n y\r\n\r\n", error, ""},
        {"LF alone", "0\r\nA: x\n\r\n", error, ""},
        {"control byte", "0\r\nA: x\x01\r\n\r\n", error, ""},
    });
}

TEST_CASE("chunked: each bound holds to the byte") {
    const auto extension_of = [](std::size_t bytes) { return "1;" + std::string(bytes - 1, 'e') + "\r\nx\r\n"; };
    CHECK(decode(extension_of(ChunkedDecoder::extension_bytes_max) + "0\r\n\r\n", 100).state == done);
    CHECK(decode(extension_of(ChunkedDecoder::extension_bytes_max + 1), 100).state == error);
    CHECK(decode("1;" + std::string(64 * 1024, 'e'), 4096).state == error);

    // Extensions may not go on for ever in small portions either.
    const std::size_t chunks = ChunkedDecoder::extensions_bytes_max / ChunkedDecoder::extension_bytes_max;
    std::string many;
    for (std::size_t i = 0; i < chunks; ++i) many += extension_of(ChunkedDecoder::extension_bytes_max);
    CHECK(decode(many + "0\r\n\r\n", 4096).state == done);
    CHECK(decode(many + "0;\r\n\r\n", 4096).state == error);

    // "T: ...": three bytes of the line count besides the value, its CRLF does not.
    const auto trailer_of = [](std::size_t bytes) { return "0\r\nT: " + std::string(bytes - 3, 't') + "\r\n\r\n"; };
    CHECK(decode(trailer_of(ChunkedDecoder::trailer_bytes_max), 1000).state == done);
    CHECK(decode(trailer_of(ChunkedDecoder::trailer_bytes_max + 1), 1000).state == error);
}

TEST_CASE("chunked: a million one-byte chunks are a body like any other") {
    std::string bytes;
    for (int i = 0; i < 1'000'000; ++i) bytes += "1\r\nx\r\n";
    const Decoded out = decode(bytes + "0\r\n\r\n", 64 * 1024);
    CHECK(out.state == done);
    CHECK(out.data.size() == 1'000'000);
}

TEST_CASE("chunked: the decoder says how much of a chunk is to come, and stays failed or done") {
    ChunkedDecoder decoder;
    CHECK(decoder.chunk_bytes_left() == 0);
    auto step = decoder.step(bytes_of("a\r\nabc"));
    CHECK(text_of(step.data) == "abc");
    CHECK(decoder.chunk_bytes_left() == 7);
    step = decoder.step(bytes_of("defghij"));
    CHECK(step.consumed == 7);
    CHECK(decoder.chunk_bytes_left() == 0);
    CHECK(decoder.step(bytes_of("\r\n0\r\n\r\n")).state == done);
    CHECK(decoder.step(bytes_of("more")).state == done);
    CHECK(decoder.step(bytes_of("more")).consumed == 0);
    CHECK(decoder.step({}).state == done);

    ChunkedDecoder other;
    CHECK(other.step(bytes_of("x")).state == error);
    CHECK(other.step(bytes_of("0\r\n\r\n")).state == error);
}
