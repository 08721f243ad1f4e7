#include "entrepot/http/date.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace entrepot;
using std::chrono::seconds;

namespace {

constexpr std::int64_t november_1994 = 784111777;
constexpr std::int64_t today = 1790000000;  // in September 2026

std::string format(std::int64_t when) {
    const auto text = format_http_date(when);
    return {text.begin(), text.end()};
}

}  // namespace

TEST_CASE("date: all three forms of the same moment") {
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", today) == november_1994);
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", today) == november_1994);
    CHECK(parse_http_date("Sun Nov  6 08:49:37 1994", today) == november_1994);
    CHECK(parse_http_date("Sun Nov 16 08:49:37 1994", today) == november_1994 + 10 * 86400);
}

TEST_CASE("date: corners of the calendar") {
    CHECK(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT", today) == 0);
    CHECK(parse_http_date("Wed, 31 Dec 1969 23:59:59 GMT", today) == -1);
    CHECK(parse_http_date("Tue, 29 Feb 2000 00:00:00 GMT", today) == 951782400);
    CHECK(parse_http_date("Tue, 19 Jan 2038 03:14:08 GMT", today) == 2147483648);
    CHECK(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT", today) == 253402300799);
    CHECK(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT", today) == 1483228800);
}

TEST_CASE("date: two digits of a year mean at most fifty years ahead") {
    CHECK(parse_http_date("Monday, 01-Jan-76 00:00:00 GMT", today) == parse_http_date("Wed, 01 Jan 2076 00:00:00 GMT", today));
    CHECK(parse_http_date("Monday, 01-Jan-77 00:00:00 GMT", today) == parse_http_date("Sat, 01 Jan 1977 00:00:00 GMT", today));
}

TEST_CASE("date: what is none") {
    for (std::string_view text : {"",
                                  "Sun",
                                  "0",
                                  "-1",
                                  "yesterday",
                                  "Sun, 06 Nov 1994 08:49:37",
                                  "Sun, 06 Nov 1994 08:49:37 GMT ",
                                  "Sun, 6 Nov 1994 08:49:37 GMT",
                                  "sun, 06 Nov 1994 08:49:37 GMT",
                                  "Xyz, 06 Nov 1994 08:49:37 GMT",
                                  "Sun, 06 nov 1994 08:49:37 GMT",
                                  "Sun, 31 Nov 1994 08:49:37 GMT",
                                  "Sun, 00 Nov 1994 08:49:37 GMT",
                                  "Wed, 29 Feb 2001 00:00:00 GMT",
                                  "Sun, 06 Nov 1994 24:00:00 GMT",
                                  "Sun, 06 Nov 1994 08:60:00 GMT",
                                  "Sun, 06 Nov 1994 08:00:61 GMT",
                                  "Sun, 06 Nov 1994 08:49:37 UTC",
                                  "Sun, 06 Nov 1994 08:49:37 +0000",
                                  "Sun, 06 Nov 94 08:49:37 GMT",
                                  "Sunday, 06 Nov 1994 08:49:37 GMT",
                                  "Sundae, 06-Nov-94 08:49:37 GMT",
                                  "Sunday, 06-Nov-1994 08:49:37 GMT",
                                  "Sun Nov 6 08:49:37 1994",
                                  "Sun Nov  6 08:49:37 1994 GMT",
                                  "Sun, +6 Nov 1994 08:49:37 GMT"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_http_date(text, today).has_value());
    }
}

TEST_CASE("date: written and read back, it is the same second") {
    CHECK(format(november_1994) == "Sun, 06 Nov 1994 08:49:37 GMT");
    CHECK(format(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(format(-5) == "Thu, 01 Jan 1970 00:00:00 GMT");
    CHECK(format(INT64_MAX) == "Fri, 31 Dec 9999 23:59:59 GMT");
    for (std::int64_t when = 0; when < 253402300799; when += 86400LL * 97 + 12345)
        CHECK(parse_http_date(format(when), today) == when);
}

TEST_CASE("date: Retry-After in both forms, clamped") {
    const auto wait = [](std::string_view value) { return parse_retry_after(value, november_1994, seconds(600)); };
    CHECK(wait("0") == seconds(0));
    CHECK(wait("5") == seconds(5));
    CHECK(wait("600") == seconds(600));
    CHECK(wait("3600") == seconds(600));
    CHECK(wait("99999999999999999999999999") == seconds(600));
    CHECK(wait("Sun, 06 Nov 1994 08:50:07 GMT") == seconds(30));
    CHECK(wait("Sun, 06 Nov 1994 09:50:07 GMT") == seconds(600));
    CHECK(wait("Sun, 06 Nov 1994 08:49:00 GMT") == seconds(0));
    CHECK(wait("Fri, 31 Dec 9999 23:59:59 GMT") == seconds(600));
    for (std::string_view junk : {"", "-5", "+5", "5s", "5.5", "soon", " 5"}) {
        CAPTURE(junk);
        CHECK_FALSE(wait(junk).has_value());
    }
    CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", INT64_MIN, seconds(600)) == seconds(600));
    CHECK(parse_retry_after("5", 0, seconds(-1)) == seconds(0));
}
