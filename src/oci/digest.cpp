#include "entrepot/oci/digest.h"

#include "entrepot/base/assert.h"

namespace entrepot {

namespace {

constexpr std::uint8_t no_digit = 0xff;

// Lower case only: the spec's canonical form. Accepting "ABC" would give one blob two names, and file names have a case.
constexpr std::array<std::uint8_t, 256> make_digit_values() {
    std::array<std::uint8_t, 256> values{};
    values.fill(no_digit);
    for (std::uint8_t digit = 0; digit < 10; ++digit) values['0' + digit] = digit;
    for (std::uint8_t digit = 0; digit < 6; ++digit) values['a' + digit] = static_cast<std::uint8_t>(10 + digit);
    return values;
}
constexpr auto digit_values = make_digit_values();

constexpr std::array<char, 512> make_byte_texts() {
    std::array<char, 512> texts{};
    for (std::size_t byte = 0; byte < 256; ++byte) {
        texts[2 * byte] = "0123456789abcdef"[byte >> 4];
        texts[2 * byte + 1] = "0123456789abcdef"[byte & 15];
    }
    return texts;
}
constexpr auto byte_texts = make_byte_texts();

// Looks at every digit before it decides: the loop has no branch that depends on the input. `hex` has two digits a byte.
bool decode_hex(std::string_view hex, std::byte* bytes) noexcept {
    unsigned seen = 0;
    for (std::size_t i = 0; i < hex.size() / 2; ++i) {
        const unsigned high = digit_values[static_cast<std::uint8_t>(hex[2 * i])];
        const unsigned low = digit_values[static_cast<std::uint8_t>(hex[2 * i + 1])];
        seen |= high | low;
        bytes[i] = static_cast<std::byte>(high << 4 | (low & 15));
    }
    return (seen & 0xf0) == 0;  // a digit's value fits four bits, no_digit does not
}

void append_hex(std::string& text, Bytes bytes) {
    const std::size_t start = text.size();
    text.resize(start + 2 * bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::memcpy(text.data() + start + 2 * i, byte_texts.data() + 2 * std::to_integer<std::size_t>(bytes[i]), 2);
    }
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) noexcept {
    Digest digest;
    std::size_t hex_bytes = 64;
    if (text.starts_with("sha512:")) {
        digest.algorithm_ = DigestAlgorithm::sha512;
        hex_bytes = 128;
    } else if (!text.starts_with("sha256:")) {
        return std::nullopt;
    }
    const std::string_view hex = text.substr(7);
    if (hex.size() != hex_bytes || !decode_hex(hex, digest.raw_.data())) return std::nullopt;
    return digest;
}

Digest Digest::of(Bytes bytes, DigestAlgorithm algorithm) noexcept {
    Digester digester(algorithm);
    digester.update(bytes);
    return digester.finish();
}

Digest Digest::from_raw(DigestAlgorithm algorithm, Bytes raw) noexcept {
    Digest digest;
    digest.algorithm_ = algorithm;
    ASSERT(raw.size() == digest.raw().size());
    std::memcpy(digest.raw_.data(), raw.data(), raw.size());
    return digest;
}

std::string Digest::hex() const {
    std::string text;
    append_hex(text, raw());
    return text;
}

std::string Digest::text() const {
    std::string text;
    text.reserve(text_bytes_max);
    text.append(algorithm_name()).push_back(':');
    append_hex(text, raw());
    return text;
}

Digester::Digester(DigestAlgorithm algorithm) {
    if (algorithm == DigestAlgorithm::sha512) state_.emplace<Sha512>();
}

void Digester::update(Bytes bytes) noexcept {
    if (auto* sha256 = std::get_if<Sha256>(&state_)) return sha256->update(bytes);
    std::get_if<Sha512>(&state_)->update(bytes);
}

Digest Digester::finish() const noexcept {
    if (const auto* sha256 = std::get_if<Sha256>(&state_)) return Digest::from_raw(DigestAlgorithm::sha256, sha256->finish());
    return Digest::from_raw(DigestAlgorithm::sha512, std::get_if<Sha512>(&state_)->finish());
}

}  // namespace entrepot
