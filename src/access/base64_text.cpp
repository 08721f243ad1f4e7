#include "access/base64_text.h"

#include <sodium.h>

namespace entrepot {
namespace {

std::string encode(Bytes bytes, int variant) {
    std::string text(::sodium_base64_encoded_len(bytes.size(), variant), '\0');
    ::sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), variant);
    text.pop_back();  // the NUL
    return text;
}

std::optional<std::string> decode(std::string_view text, int variant) {
    std::string bytes(text.size() / 4 * 3 + 3, '\0');
    std::size_t length = 0;
    auto failed = ::sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(), text.size(),
                                      nullptr, &length, nullptr, variant);
    if (failed) return std::nullopt;
    bytes.resize(length);
    return bytes;
}

}  // namespace

std::string base64_text(Bytes bytes) { return encode(bytes, sodium_base64_VARIANT_ORIGINAL_NO_PADDING); }
std::string base64url_text(Bytes bytes) { return encode(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING); }

std::optional<std::string> parse_base64url(std::string_view text) {
    return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<std::string> parse_base64(std::string_view text) {
    bool padded = text.size() % 4 == 0;
    return decode(text, padded ? sodium_base64_VARIANT_ORIGINAL : sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

}  // namespace entrepot
