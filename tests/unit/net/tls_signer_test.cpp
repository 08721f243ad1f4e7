#include "entrepot/net/tls_signer.h"

#include "support/certificates.h"

#include <doctest/doctest.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include <fstream>
#include <sstream>

using namespace entrepot;

namespace {

std::string content_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

bool is_signed(const std::string& certificate_pem, const std::string& text, const std::string& signature) {
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    auto* pem = reinterpret_cast<const unsigned char*>(certificate_pem.c_str());
    bool parsed = mbedtls_x509_crt_parse(&certificate, pem, certificate_pem.size() + 1) == 0;
    unsigned char digest[32];
    mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
               digest);
    bool good = parsed && mbedtls_pk_verify(&certificate.pk, MBEDTLS_MD_SHA256, digest, sizeof digest,
                                            reinterpret_cast<const unsigned char*>(signature.data()), signature.size()) == 0;
    mbedtls_x509_crt_free(&certificate);
    return good;
}

std::string why(const std::string& pem) {
    auto signer = TlsSigner::load(pem, "/etc/puller.pem");
    return signer ? std::string() : signer.error();
}

}  // namespace

TEST_CASE("signer: what it signs is the certificate's") {
    TestAuthority authority;
    auto files = authority.issue({.common_name = "puller", .rsa_bits = 2048});
    auto certificate = content_of(files.certificate), key = content_of(files.key);
    for (auto& pem : {certificate + key, key + certificate}) {
        auto signer = TlsSigner::load(pem, "/etc/puller.pem");
        REQUIRE(signer);
        auto signature = (*signer)->sign("header.claims");
        CHECK(signature.size() == 256);
        CHECK(is_signed(certificate, "header.claims", signature));
        CHECK_FALSE(is_signed(certificate, "header.clains", signature));
        CHECK((*signer)->thumbprint().size() == 20);
    }
}

TEST_CASE("signer: what cannot sign is told by its path") {
    TestAuthority authority;
    auto rsa = authority.issue({.common_name = "puller", .rsa_bits = 2048});
    auto other = authority.issue({.common_name = "other", .rsa_bits = 2048});
    auto curve = authority.issue({.common_name = "curve"});
    CHECK(why("") == "/etc/puller.pem holds no PEM certificate that can be read");
    CHECK(why(content_of(rsa.certificate)) ==
          "/etc/puller.pem holds no PEM private key that can be read (one without a passphrase)");
    CHECK(why(content_of(rsa.certificate) + content_of(other.key)) ==
          "the key in /etc/puller.pem does not belong to the certificate there");
    CHECK(why(content_of(curve.certificate) + content_of(curve.key)) == "the key in /etc/puller.pem is no RSA key");
}
