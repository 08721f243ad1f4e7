#include "entrepot/http/form.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Fields fields_of(std::string_view text) {
    auto form = parse_form(text);
    REQUIRE(form.has_value());
    return form->fields;
}

}  // namespace

TEST_CASE("form: names and values in their order, decoded") {
    CHECK(fields_of("") == Fields());
    CHECK(fields_of("a=1&b=2&a=3") == Fields{{"a", "1"}, {"b", "2"}, {"a", "3"}});
    CHECK(fields_of("scope=repository%3Ahub%2Fapp%3Apull+repository:x:pull") ==
          Fields{{"scope", "repository:hub/app:pull repository:x:pull"}});
    CHECK(fields_of("password=a%2Bb%26c%3Dd%25&x=a=b") == Fields{{"password", "a+b&c=d%"}, {"x", "a=b"}});
    CHECK(fields_of("&&a&=b&c=") == Fields{{"a", ""}, {"", "b"}, {"c", ""}});
    CHECK(fields_of("a%00b=%FF") == Fields{{std::string("a\0b", 3), "\xff"}});
}

TEST_CASE("form: a malformed escape refuses all of it, and so does one field too many") {
    for (auto text : {"a=%", "a=%2", "a=%zz", "%=a", "a=1&b=%g0"}) CHECK_FALSE(parse_form(text).has_value());
    std::string text;
    for (std::size_t i = 0; i < form_fields_max; ++i) text += "a=1&";
    CHECK(parse_form(text).has_value());
    CHECK_FALSE(parse_form(text + "a=1").has_value());
}
