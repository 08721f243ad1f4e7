#include "entrepot/oci/error_body.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <set>
#include <string>

using namespace entrepot;

namespace {
nlohmann::json only_error(const std::string& body) {
    const auto document = nlohmann::json::parse(body);
    REQUIRE(document.at("errors").size() == 1);
    return document.at("errors").at(0);
}
}  // namespace

TEST_CASE("error body: code, message and detail in the shape of the spec") {
    CHECK(error_body(OciCode::blob_unknown, "gone") == R"({"errors":[{"code":"BLOB_UNKNOWN","message":"gone"}]})");
    CHECK(error_body(OciCode::denied, "no", "rule hub") ==
          R"({"errors":[{"code":"DENIED","message":"no","detail":"rule hub"}]})");
}

TEST_CASE("error body: each code has its own name and an error status") {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < oci_code_count; ++i) {
        const auto code = static_cast<OciCode>(i);
        names.insert(name_of(code));
        CHECK(default_status(code) >= 400);
        CHECK(default_status(code) < 600);
    }
    CHECK(names.size() == oci_code_count);
    CHECK(name_of(OciCode::too_many_requests) == "TOOMANYREQUESTS");
    CHECK(name_of(OciCode::unknown) == "UNKNOWN");
    CHECK(default_status(OciCode::unsupported) == 405);
    CHECK(default_status(OciCode::too_many_requests) == 429);
    CHECK(default_status(OciCode::digest_invalid) == 400);
}

TEST_CASE("error body: whatever the message holds, the body is ASCII JSON that says the same") {
    const std::string hostile = "quote \" back \\ line \r\n nul " + std::string(1, '\0') +
                                " esc \x1b[31m del \x7f <script>&amp; \xc3\xa9 \xf0\x9f\x90\xb3 \xe2\x80\xae";
    const std::string body = error_body(OciCode::name_unknown, hostile, hostile);
    for (const char character : body) CHECK((character >= 0x20 && character < 0x7f));
    CHECK(body.find('<') == std::string::npos);
    CHECK(only_error(body).at("message") == hostile);
    CHECK(only_error(body).at("detail") == hostile);
}

TEST_CASE("error body: broken UTF-8 becomes replacement characters") {
    struct {
        std::string text, shown;
    } const rows[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                  // overlong '/'
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},  // a surrogate
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},  // cut short
        {"\x80", "\xef\xbf\xbd"},
    };
    for (const auto& row : rows) CHECK(only_error(error_body(OciCode::unknown, row.text)).at("message") == row.shown);
}

TEST_CASE("error body: long texts are cut, never within a character") {
    const std::string exact(error_text_bytes_max, 'x');
    CHECK(only_error(error_body(OciCode::unknown, exact)).at("message") == exact);
    CHECK(only_error(error_body(OciCode::unknown, exact + "y")).at("message") == exact);
    const std::string wide = std::string(error_text_bytes_max - 1, 'x') + "\xc3\xa9";
    CHECK(only_error(error_body(OciCode::unknown, wide)).at("message") == std::string(error_text_bytes_max - 1, 'x'));
    CHECK(error_body(OciCode::unknown, std::string(1'000'000, '\x01'), std::string(1'000'000, '\x01')).size() < 13'000);
}
