#include "net/tls_verify.h"

#include "entrepot/base/bytes.h"
#include "entrepot/base/log.h"
#include "entrepot/net/tls.h"

#include <fmt/format.h>
#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace entrepot {
namespace {

constexpr std::size_t names_shown_max = 3;
constexpr std::size_t name_shown_bytes_max = 64;

enum class NameKind { dns = MBEDTLS_X509_SAN_DNS_NAME, address = MBEDTLS_X509_SAN_IP_ADDRESS };

struct Name {
    NameKind kind;
    Bytes bytes;
};

Bytes bytes_of(const mbedtls_x509_buf& buffer) { return {reinterpret_cast<const std::byte*>(buffer.p), buffer.len}; }

bool is_common_name(const mbedtls_x509_name& name) { return MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name.oid) == 0; }

/// The names of the subjectAltName extension (RFC 5280 section 4.2.1.6); the common names when there is no such extension.
std::vector<Name> names_of(const mbedtls_x509_crt& certificate) {
    std::vector<Name> names;
    for (auto* entry = &certificate.subject_alt_names; entry && entry->buf.p; entry = entry->next) {
        if ((entry->buf.tag & MBEDTLS_ASN1_TAG_CLASS_MASK) != MBEDTLS_ASN1_CONTEXT_SPECIFIC) continue;
        int kind = entry->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
        if (kind == MBEDTLS_X509_SAN_DNS_NAME || kind == MBEDTLS_X509_SAN_IP_ADDRESS)
            names.push_back({static_cast<NameKind>(kind), bytes_of(entry->buf)});
    }
    if (certificate.subject_alt_names.buf.p) return names;
    for (auto* part = &certificate.subject; part; part = part->next) {
        if (part->oid.p && is_common_name(*part)) names.push_back({NameKind::dns, bytes_of(part->val)});
    }
    return names;
}

/// An address as certificates carry it: 4 or 16 bytes in network order.
Bytes raw_ip(const Address& address) {
    auto* data = reinterpret_cast<const std::byte*>(address.data());
    if (address.family() == AF_INET) return {data + offsetof(sockaddr_in, sin_addr), 4};
    return {data + offsetof(sockaddr_in6, sin6_addr), 16};
}

std::string text_of_name(const Name& name) {
    if (name.kind == NameKind::dns) return escaped(text_of(name.bytes), name_shown_bytes_max);
    sockaddr_storage storage{};
    storage.ss_family = name.bytes.size() == 4 ? AF_INET : AF_INET6;
    std::size_t offset = name.bytes.size() == 4 ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr);
    if (name.bytes.size() != 4 && name.bytes.size() != 16) return "a malformed address";
    std::memcpy(reinterpret_cast<char*>(&storage) + offset, name.bytes.data(), name.bytes.size());
    return Address::from(reinterpret_cast<sockaddr*>(&storage), sizeof storage)->ip_text();
}

std::string list_for_people(const std::vector<Name>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), names_shown_max); ++i) text += (i ? ", " : "") + text_of_name(names[i]);
    if (names.size() > names_shown_max) text += fmt::format(" and {} more", names.size() - names_shown_max);
    return text.empty() ? "nobody" : text;
}

bool same(const mbedtls_x509_buf& a, const mbedtls_x509_buf& b) { return std::ranges::equal(bytes_of(a), bytes_of(b)); }

std::string dated(int depth, const char* verb, const mbedtls_x509_time& time) {
    return fmt::format("{} {} {:04}-{:02}-{:02} (check this machine's clock too)",
                       depth == 0 ? "certificate" : "an issuer's certificate", verb, time.year, time.mon, time.day);
}

}  // namespace

// Escaped, because the library takes a C string: "registry.example\0.evil.example" must not be compared as its beginning. Names proper stay as they are.
ServerCheck::ServerCheck(std::string_view host_name) : name_(escaped(host_name)), address_(Address::parse(host_name, 0)) {
    if (name_.ends_with('.')) name_.pop_back();
}

int ServerCheck::on_certificate(void* check, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) noexcept {
    static_cast<ServerCheck*>(check)->look_at(*certificate, depth, *flags);
    return 0;
}

void ServerCheck::look_at(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags) {
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED) expired_ = dated(depth, "expired on", certificate.valid_to);
    if (flags & MBEDTLS_X509_BADCERT_FUTURE) future_ = dated(depth, "is not valid before", certificate.valid_from);
    if (depth != 0) return;

    saw_certificate_ = true;
    auto names = names_of(certificate);
    if (address_) {
        auto wanted = raw_ip(*address_);
        bool found = std::any_of(names.begin(), names.end(), [&](const Name& name) {
            return name.kind == NameKind::address && std::ranges::equal(name.bytes, wanted);
        });
        if (found) flags &= ~static_cast<std::uint32_t>(MBEDTLS_X509_BADCERT_CN_MISMATCH);
        else flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    // "registry.example\0.evil.example" is what some issuer checked as a name below evil.example: such a certificate is a trick, whatever it matches.
    has_nul_ = std::any_of(names.begin(), names.end(), [](const Name& name) {
        return name.kind == NameKind::dns && std::ranges::find(name.bytes, std::byte{0}) != name.bytes.end();
    });
    if (has_nul_) flags |= MBEDTLS_X509_BADCERT_OTHER;
    self_signed_ = same(certificate.issuer_raw, certificate.subject_raw);
    names_ = list_for_people(names);
}

std::string ServerCheck::reason(std::uint32_t flags) const {
    std::string text;
    auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
    if (flags == UINT32_MAX || !saw_certificate_) return "certificate chain cannot be verified (too long, or malformed)";
    if (has_nul_) add("certificate holds a name with a NUL byte");
    if (flags & MBEDTLS_X509_BADCERT_CN_MISMATCH)
        add(fmt::format("certificate is for {}, not for {}", names_, escaped(name_, name_shown_bytes_max)));
    if (flags & MBEDTLS_X509_BADCERT_EXPIRED) add(expired_);
    if (flags & MBEDTLS_X509_BADCERT_FUTURE) add(future_);
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        add(self_signed_ ? std::string(untrusted_issuer) + " (the certificate is self-signed)" : std::string(untrusted_issuer));
    if (flags & (MBEDTLS_X509_BADCERT_BAD_KEY | MBEDTLS_X509_BADCERT_BAD_PK)) add("a key in the certificate chain is too weak");
    if (flags & MBEDTLS_X509_BADCERT_BAD_MD) add("a certificate is signed with a hash that is too weak");
    if (flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE | MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) {
        add("certificate is not meant for a server (key usage)");
    }
    if (flags & MBEDTLS_X509_BADCERT_REVOKED) add("certificate is revoked");
    if (flags & MBEDTLS_X509_BADCERT_MISSING) add("server showed no certificate");
    return text.empty() ? fmt::format("certificate is refused (flags {:#x})", flags) : text;
}

}  // namespace entrepot
