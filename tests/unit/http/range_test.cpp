#include "entrepot/http/range.h"

#include <doctest/doctest.h>

#include <string_view>

using namespace entrepot;
using Kind = RangeRequest::Kind;

TEST_CASE("range: single ranges are understood, everything else means the whole") {
    struct Case {
        std::string_view value;
        RangeRequest expected;
    };
    for (const Case& row : {
             Case{"bytes=0-499", {Kind::from_to, 0, 499}},
             Case{"bytes=5-5", {Kind::from_to, 5, 5}},
             Case{"bytes=500-", {Kind::from, 500, 0}},
             Case{"bytes=0-", {Kind::from, 0, 0}},
             Case{"bytes=-500", {Kind::suffix, 500, 0}},
             Case{"bytes=-0", {Kind::suffix, 0, 0}},
             Case{"Bytes=1-2", {Kind::from_to, 1, 2}},
             Case{"bytes= 1-2 ", {Kind::from_to, 1, 2}},
             Case{"bytes=1-2,", {Kind::from_to, 1, 2}},
             Case{"bytes=,1-2", {Kind::from_to, 1, 2}},
             Case{"bytes=0001-2", {Kind::from_to, 1, 2}},
             Case{"bytes=18446744073709551615-", {Kind::from, UINT64_MAX, 0}},
             Case{"bytes=99999999999999999999999-", {Kind::from, UINT64_MAX, 0}},
             Case{"bytes=0-99999999999999999999999", {Kind::from_to, 0, UINT64_MAX}},
             Case{"bytes=-99999999999999999999999", {Kind::suffix, UINT64_MAX, 0}},
             Case{"", {}},
             Case{"bytes", {}},
             Case{"bytes=", {}},
             Case{"bytes=-", {}},
             Case{"bytes=abc", {}},
             Case{"bytes=1", {}},
             Case{"bytes=2-1", {}},
             Case{"bytes=1-2-3", {}},
             Case{"bytes=--1", {}},
             Case{"bytes=1 -2", {}},
             Case{"bytes=+1-2", {}},
             Case{"bytes=0x1-2", {}},
             Case{"bytes =1-2", {}},
             Case{"bytes=0-1,3-4", {}},
             Case{"bytes=0-1, -5", {}},
             Case{"items=0-1", {}},
             Case{"0-1", {}},
         }) {
        CAPTURE(row.value);
        CHECK(parse_range(row.value) == row.expected);
    }
}

TEST_CASE("range: the part of a blob that answers a request") {
    struct Case {
        std::string_view value;
        std::uint64_t blob_bytes;
        std::optional<BlobPart> expected;  // nullopt: 416
    };
    for (const Case& row : {
             Case{"", 1000, BlobPart{0, 1000, false}},
             Case{"bytes=0-499", 1000, BlobPart{0, 500, true}},
             Case{"bytes=0-0", 1000, BlobPart{0, 1, true}},
             Case{"bytes=999-999", 1000, BlobPart{999, 1, true}},
             Case{"bytes=500-5000", 1000, BlobPart{500, 500, true}},
             Case{"bytes=500-", 1000, BlobPart{500, 500, true}},
             Case{"bytes=0-", 1000, BlobPart{0, 1000, true}},
             Case{"bytes=-1", 1000, BlobPart{999, 1, true}},
             Case{"bytes=-0", 1000, std::nullopt},
             Case{"bytes=1000-", 1000, std::nullopt},
             Case{"bytes=1000-2000", 1000, std::nullopt},
             Case{"bytes=99999999999999999999999-", 1000, std::nullopt},
             Case{"bytes=0-99999999999999999999999", 1000, BlobPart{0, 1000, true}},
             Case{"bytes=0-", UINT64_MAX, BlobPart{0, UINT64_MAX, true}},
             Case{"bytes=0-99999999999999999999999", UINT64_MAX, BlobPart{0, UINT64_MAX, true}},
             Case{"bytes=2-1", 1000, BlobPart{0, 1000, false}},
             Case{"bytes=0-1,5-6", 1000, BlobPart{0, 1000, false}},
         }) {
        CAPTURE(row.value);
        CHECK(parse_range(row.value).within(row.blob_bytes) == row.expected);
    }
}

TEST_CASE("range: a suffix longer than the blob is the whole blob") {
    CHECK(parse_range("bytes=-5000").within(1000) == BlobPart{0, 1000, true});
    CHECK(parse_range("bytes=-99999999999999999999999").within(1000) == BlobPart{0, 1000, true});
}

TEST_CASE("range: an empty blob is served whole, whatever was asked") {
    for (std::string_view value : {"bytes=0-", "bytes=5-9", "bytes=-5", "bytes=-0"})
        CHECK(parse_range(value).within(0) == BlobPart{0, 0, false});
}

TEST_CASE("range: If-Range holds only for the very same strong tag") {
    constexpr std::string_view etag = "\"sha256:aa\"";
    CHECK(if_range_holds("", etag));
    CHECK(if_range_holds("\"sha256:aa\"", etag));
    CHECK_FALSE(if_range_holds("\"sha256:bb\"", etag));
    CHECK_FALSE(if_range_holds("W/\"sha256:aa\"", etag));
    CHECK_FALSE(if_range_holds("sha256:aa", etag));
    CHECK_FALSE(if_range_holds("Sun, 06 Nov 1994 08:49:37 GMT", etag));
}

TEST_CASE("range: Content-Range of upstreams") {
    struct Case {
        std::string_view value;
        std::optional<ContentRange> expected;
    };
    for (const Case& row : {
             Case{"bytes 0-499/1234", ContentRange{0, 499, 1234, false}},
             Case{"Bytes 0-0/1", ContentRange{0, 0, 1, false}},
             Case{"bytes 500-999/*", ContentRange{500, 999, std::nullopt, false}},
             Case{"bytes */1234", ContentRange{0, 0, 1234, true}},
             Case{"bytes */*", std::nullopt},
             Case{"bytes 0-1234/1234", std::nullopt},
             Case{"bytes 5-4/10", std::nullopt},
             Case{"bytes 0-/10", std::nullopt},
             Case{"bytes -5/10", std::nullopt},
             Case{"bytes 5/10", std::nullopt},
             Case{"bytes 0-4", std::nullopt},
             Case{"bytes 0-4/", std::nullopt},
             Case{"bytes=0-4/10", std::nullopt},
             Case{"items 0-4/10", std::nullopt},
             Case{"bytes 0-4/10x", std::nullopt},
             Case{"bytes 0-99999999999999999999/*", std::nullopt},
             Case{"bytes 0-18446744073709551615/*", std::nullopt},
             Case{"bytes 0-4/99999999999999999999", std::nullopt},
             Case{"", std::nullopt},
         }) {
        CAPTURE(row.value);
        CHECK(parse_content_range(row.value) == row.expected);
    }
}
