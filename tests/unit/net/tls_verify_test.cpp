#include "net/tls_verify.h"

#include "support/certificates.h"

#include <doctest/doctest.h>

#include <string>

using namespace entrepot;

namespace {

/// What a check says once it has seen a certificate for registry.test with these flags.
std::string reason_for(std::uint32_t flags) {
    static TestAuthority authority;
    CertificateWish wish;
    wish.dns_names = {"registry.test"};
    TlsCertificates certificates;
    static const auto files = authority.issue(wish);
    REQUIRE(mbedtls_x509_crt_parse_file(&certificates.chain, files.certificate.c_str()) == 0);
    ServerCheck check("registry.test");
    CHECK(!check.saw_certificate());
    REQUIRE(ServerCheck::on_certificate(&check, &certificates.chain, 0, &flags) == 0);
    CHECK(check.saw_certificate());
    return check.reason(flags);
}

}  // namespace

TEST_CASE("tls verify: the library compares names, and addresses are ours") {
    CHECK(std::string(ServerCheck("registry.test.").name_for_library()) == "registry.test");
    CHECK(ServerCheck("192.0.2.1").name_for_library() == nullptr);
    CHECK(ServerCheck("::1").name_for_library() == nullptr);
    CHECK(std::string(ServerCheck("192.0.2").name_for_library()) == "192.0.2");
    CHECK(std::string(ServerCheck(std::string_view("registry.test\0.evil", 19)).name_for_library()) == "registry.test\\x00.evil");
}

TEST_CASE("tls verify: each flag has its words") {
    CHECK(reason_for(MBEDTLS_X509_BADCERT_EXT_KEY_USAGE) == "certificate is not meant for a server (key usage)");
    CHECK(reason_for(MBEDTLS_X509_BADCERT_KEY_USAGE) == "certificate is not meant for a server (key usage)");
    CHECK(reason_for(MBEDTLS_X509_BADCERT_REVOKED) == "certificate is revoked");
    CHECK(reason_for(MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK) ==
          "a key in the certificate chain is too weak; a certificate is signed with a hash that is too weak");
    CHECK(reason_for(MBEDTLS_X509_BADCRL_EXPIRED) == "certificate is refused (flags 0x20)");
    CHECK(reason_for(UINT32_MAX) == "certificate chain cannot be verified (too long, or malformed)");
}

TEST_CASE("tls verify: without a look at the certificate there is no other reason") {
    CHECK(ServerCheck("registry.test").reason(0) == "certificate chain cannot be verified (too long, or malformed)");
}
