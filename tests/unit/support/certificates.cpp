#include "support/certificates.h"

#include <doctest/doctest.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace entrepot {
namespace {

constexpr char context_specific_primitive = '\x80';
constexpr int dns_name = 2, ip_address = 7;  // RFC 5280 section 4.2.1.6

std::string der(char tag, const std::string& content) {
    REQUIRE(content.size() < 65536);
    std::string length;
    if (content.size() < 128) length = static_cast<char>(content.size());
    else length = {'\x82', static_cast<char>(content.size() >> 8), static_cast<char>(content.size() & 0xff)};
    return tag + length + content;
}

std::string alternative_names(const CertificateWish& wish) {
    std::string names;
    for (const auto& name : wish.dns_names) names += der(static_cast<char>(context_specific_primitive | dns_name), name);
    for (const auto& address : wish.addresses) names += der(static_cast<char>(context_specific_primitive | ip_address), address);
    return der('\x30', names);
}

void set_extension(mbedtls_x509write_cert& certificate, const char* oid, std::size_t oid_length, const std::string& value) {
    REQUIRE(mbedtls_x509write_crt_set_extension(&certificate, oid, oid_length, 0,
                                                reinterpret_cast<const unsigned char*>(value.data()), value.size()) == 0);
}

}  // namespace

struct TestAuthority::Keys {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_pk_context authority;

    Keys() {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&random);
        mbedtls_pk_init(&authority);
        REQUIRE(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, nullptr, 0) == 0);
    }
    ~Keys() {
        mbedtls_pk_free(&authority);
        mbedtls_ctr_drbg_free(&random);
        mbedtls_entropy_free(&entropy);
    }

    void make(mbedtls_pk_context& key, unsigned rsa_bits) {
        if (rsa_bits > 0) {
            REQUIRE(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) == 0);
            REQUIRE(mbedtls_rsa_gen_key(mbedtls_pk_rsa(key), mbedtls_ctr_drbg_random, &random, rsa_bits, 65537) == 0);
            return;
        }
        REQUIRE(mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0);
        REQUIRE(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), mbedtls_ctr_drbg_random, &random) == 0);
    }

    std::string sign(mbedtls_pk_context& subject, mbedtls_pk_context& issuer, const std::string& issuer_name, bool is_authority,
                     int serial, const CertificateWish& wish);
};

std::string TestAuthority::Keys::sign(mbedtls_pk_context& subject, mbedtls_pk_context& issuer, const std::string& issuer_name,
                                      bool is_authority, int serial, const CertificateWish& wish) {
    mbedtls_x509write_cert certificate;
    mbedtls_x509write_crt_init(&certificate);
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    mbedtls_mpi_lset(&number, serial);
    mbedtls_x509write_crt_set_version(&certificate, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&certificate, wish.sha1 ? MBEDTLS_MD_SHA1 : MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&certificate, &subject);
    mbedtls_x509write_crt_set_issuer_key(&certificate, &issuer);
    REQUIRE(mbedtls_x509write_crt_set_subject_name(&certificate, ("CN=" + wish.common_name).c_str()) == 0);
    REQUIRE(mbedtls_x509write_crt_set_issuer_name(&certificate, ("CN=" + issuer_name).c_str()) == 0);
    REQUIRE(mbedtls_x509write_crt_set_serial(&certificate, &number) == 0);
    REQUIRE(mbedtls_x509write_crt_set_validity(&certificate, wish.from.c_str(), wish.to.c_str()) == 0);
    REQUIRE(mbedtls_x509write_crt_set_basic_constraints(&certificate, is_authority, -1) == 0);
    if (!wish.dns_names.empty() || !wish.addresses.empty()) {
        set_extension(certificate, MBEDTLS_OID_SUBJECT_ALT_NAME, MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME),
                      alternative_names(wish));
    }
    if (wish.for_clients) {
        auto purpose = der('\x30', der('\x06', std::string(MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH))));
        set_extension(certificate, MBEDTLS_OID_EXTENDED_KEY_USAGE, MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), purpose);
    }
    std::string pem(8192, '\0');
    REQUIRE(mbedtls_x509write_crt_pem(&certificate, reinterpret_cast<unsigned char*>(pem.data()), pem.size(),
                                      mbedtls_ctr_drbg_random, &random) == 0);
    mbedtls_mpi_free(&number);
    mbedtls_x509write_crt_free(&certificate);
    return pem.substr(0, pem.find('\0'));
}

TestAuthority::TestAuthority() : keys_(new Keys) {
    auto name = (std::filesystem::temp_directory_path() / "entrepot-certificates-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    directory_ = name;
    CertificateWish self;
    self.common_name = "Test authority";
    keys_->make(keys_->authority, 0);
    ca_file_ = write("ca.pem", keys_->sign(keys_->authority, keys_->authority, self.common_name, true, 1, self));
}

TestAuthority::~TestAuthority() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
    delete keys_;
}

std::string TestAuthority::write(const std::string& name, const std::string& content) {
    auto path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
}

CertificateFiles TestAuthority::issue(const CertificateWish& wish) {
    ++issued_;
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    keys_->make(key, wish.rsa_bits);
    std::string key_pem(16384, '\0');
    REQUIRE(mbedtls_pk_write_key_pem(&key, reinterpret_cast<unsigned char*>(key_pem.data()), key_pem.size()) == 0);
    key_pem.resize(key_pem.find('\0'));
    auto pem = wish.self_signed ? keys_->sign(key, key, wish.common_name, false, issued_ + 1, wish)
                                : keys_->sign(key, keys_->authority, "Test authority", false, issued_ + 1, wish);
    mbedtls_pk_free(&key);
    auto stem = "server" + std::to_string(issued_);
    return {write(stem + ".pem", pem), write(stem + ".key", key_pem)};
}

}  // namespace entrepot
