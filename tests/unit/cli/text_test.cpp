#include "cli/text.h"

#include <doctest/doctest.h>

#include <string_view>

using namespace entrepot::cli;
using namespace std::string_literals;

TEST_CASE("terminal text: what a terminal would obey or hide is written out, the rest is shown") {
    const std::pair<std::string, const char*> rows[] = {
        {"docker.io/library/alpine", "docker.io/library/alpine"},
        {"caf\u00e9 \u65e5\u672c", "caf\u00e9 \u65e5\u672c"},
        {"\U0001f433", "\U0001f433"},
        {"a\x1b[31mred", "a\\x1b[31mred"},
        {"two\nlines\tand a tab\r", "two\\x0alines\\x09and a tab\\x0d"},
        {"nul\0here"s, "nul\\x00here"},
        {"\x7f", "\\x7f"},
        {"csi \u009b", "csi \\u{009b}"},
        {"evil\u202egpj.exe", "evil\\u{202e}gpj.exe"},
        {"\u2066isolated\u2069", "\\u{2066}isolated\\u{2069}"},
        {"zero\u200bwidth", "zero\\u{200b}width"},
        {"\ufeff", "\\u{feff}"},
        {"soft\u00adhyphen", "soft\\u{00ad}hyphen"},
        {"tag \U000e0041", "tag \\u{e0041}"},
        {"broken \xff\xc3", "broken \\xff\\xc3"},
        {"overlong \xc0\xaf \xe0\x80\xaf", "overlong \\xc0\\xaf \\xe0\\x80\\xaf"},
        {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
        {"past the end \xf4\x90\x80\x80", "past the end \\xf4\\x90\\x80\\x80"},
    };
    for (const auto& [text, shown] : rows) CHECK(printable(text, true) == shown);
}

TEST_CASE("terminal text: where UTF-8 cannot be shown, its bytes are") {
    CHECK(printable("caf\u00e9", false) == "caf\\xc3\\xa9");
    CHECK(printable("plain", false) == "plain");
}

TEST_CASE("terminal text: every byte value comes out printable") {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
    for (unsigned char c : printable(all, true)) CHECK((c >= 0x20 && c < 0x7f));
}

TEST_CASE("terminal text: width counts columns, not bytes") {
    CHECK(width_of("") == 0);
    CHECK(width_of("abc") == 3);
    CHECK(width_of("caf\u00e9") == 4);
    CHECK(width_of("\u65e5\u672c") == 4);
    CHECK(width_of("e\u0301") == 1);
}

TEST_CASE("terminal text: a cut says that it is one and never splits a character") {
    CHECK(cut_to("alpine", 6, true) == "alpine");
    CHECK(cut_to("alpine", 5, true) == "alpi\u2026");
    CHECK(cut_to("alpine", 5, false) == "al...");
    CHECK(cut_to("alpine", 1, true) == "\u2026");
    CHECK(cut_to("alpine", 2, false) == "..");
    CHECK(cut_to("\u65e5\u672c\u8a9e", 5, true) == "\u65e5\u672c\u2026");
    CHECK(cut_to("\u65e5\u672c\u8a9e", 4, true) == "\u65e5\u2026");
}
