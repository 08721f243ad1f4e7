#include "entrepot/http/head_writer.h"

#include "entrepot/http/request_head.h"
#include "entrepot/http/response_head.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace entrepot;

TEST_CASE("head writer: a response head, to the byte") {
    std::array<char, 512> buffer;
    HeadWriter writer(buffer);
    writer.status_line(206)
        .field("Content-Type", "application/octet-stream")
        .field("Content-Length", 500)
        .content_range({.offset = 500, .length = 500, .partial = true}, 1000)
        .prepared("Accept-Ranges: bytes\r\nX-A: b\r\n")
        .field("Age", 0);
    CHECK(writer.finish() ==
          "HTTP/1.1 206 Partial Content\r\nContent-Type: application/octet-stream\r\nContent-Length: 500\r\n"
          "Content-Range: bytes 500-999/1000\r\nAccept-Ranges: bytes\r\nX-A: b\r\nAge: 0\r\n\r\n");
}

TEST_CASE("head writer: a request head, and what our own parser makes of it") {
    std::array<char, 512> buffer;
    HeadWriter writer(buffer);
    writer.request_line(Method::head, "/v2/library/alpine/manifests/3?ns=docker.io")
        .field("Host", "r.test")
        .field("Accept", "a/b");
    const auto text = writer.finish();
    REQUIRE(text.has_value());
    CHECK(*text == "HEAD /v2/library/alpine/manifests/3?ns=docker.io HTTP/1.1\r\nHost: r.test\r\nAccept: a/b\r\n\r\n");
    RequestHead head;
    CHECK(parse_request_head(*text, head).state == ParseState::complete);
}

TEST_CASE("head writer: every status has a line that parses, with or without words") {
    for (std::uint16_t status = 100; status < 600; ++status) {
        CAPTURE(status);
        std::array<char, 128> buffer;
        HeadWriter writer(buffer);
        const auto text = writer.status_line(status).finish();
        REQUIRE(text.has_value());
        CHECK(*text == "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\n\r\n");
        ResponseHead head;
        REQUIRE(parse_response_head(*text, head).state == ParseState::complete);
        CHECK(head.status == status);
    }
}

TEST_CASE("head writer: it fits to the last byte, or fails for good without passing the end") {
    const std::string expected = "HTTP/1.1 200 OK\r\nA: b\r\nN: 12345\r\n\r\n";
    for (std::size_t size = 0; size <= expected.size(); ++size) {
        CAPTURE(size);
        std::string buffer(expected.size() + 8, '#');
        HeadWriter writer(std::span(buffer.data(), size));
        writer.status_line(200).field("A", "b").field("N", 12345);
        const auto text = writer.finish();
        CHECK(text.has_value() == (size == expected.size()));
        CHECK(writer.failed() == (size != expected.size()));
        if (text) CHECK(*text == expected);
        CHECK(buffer.substr(size) == std::string(buffer.size() - size, '#'));
    }
}

TEST_CASE("head writer: after a piece that did not fit, a smaller one is not taken either") {
    std::array<char, 24> buffer;
    buffer.fill('#');
    HeadWriter writer(buffer);
    writer.status_line(200).field("Long", "does not fit").field("A", "b");  // one byte is left, and "A" would fit
    CHECK(writer.failed());
    CHECK(buffer.back() == '#');
    CHECK_FALSE(writer.finish().has_value());
}

TEST_CASE("head writer: nobody smuggles a line through a value or a target") {
    using namespace std::string_view_literals;
    for (std::string_view value : {"a\r\nX: y"sv, "a\nb"sv, "a\rb"sv, "a\0b"sv, "\x1b[2J"sv, "\x7f"sv}) {
        std::array<char, 128> buffer;
        HeadWriter writer(buffer);
        CHECK_FALSE(writer.field("A", value).finish().has_value());
        CHECK_FALSE(is_field_value(value));
    }
    CHECK(is_field_value("a\tb \xc3\xa9"));
    CHECK(is_field_value(""));
    for (std::string_view target :
         {""sv, "v2/"sv, "http://a/"sv, "/a b"sv, "/a\r\nX: y"sv, "/a\tb"sv, "/\x7f"sv, "/\xff"sv, "/\0"sv}) {
        std::array<char, 128> buffer;
        HeadWriter writer(buffer);
        CHECK_FALSE(writer.request_line(Method::get, target).finish().has_value());
    }
}

TEST_CASE("head writer: a control byte is found wherever it stands in a value of any length") {
    for (std::size_t size = 1; size <= 70; ++size) {
        CAPTURE(size);
        std::string value(size, 'v');
        CHECK(is_field_value(value));
        for (std::size_t at = 0; at < size; ++at) {
            CAPTURE(at);
            value[at] = '\n';
            CHECK_FALSE(is_field_value(value));
            value[at] = '\t';
            CHECK(is_field_value(value));
            value[at] = 'v';
        }
    }
    CHECK(is_field_value({}));
}
