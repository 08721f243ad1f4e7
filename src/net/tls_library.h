#pragma once
// mbedTLS as this module uses it: owners for its contexts, and the few calls that differ between 2.28 (Debian 12) and 3.6 (Debian 13).

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#include <string>

namespace entrepot {

/// A random generator that the kernel's entropy seeds.
class TlsGenerator {
  public:
    TlsGenerator() noexcept {
        mbedtls_entropy_init(&entropy_);
        mbedtls_ctr_drbg_init(&generator_);
    }
    ~TlsGenerator() {
        mbedtls_ctr_drbg_free(&generator_);
        mbedtls_entropy_free(&entropy_);
    }
    TlsGenerator(const TlsGenerator&) = delete;
    TlsGenerator& operator=(const TlsGenerator&) = delete;

    int seed() noexcept { return mbedtls_ctr_drbg_seed(&generator_, mbedtls_entropy_func, &entropy_, nullptr, 0); }
    mbedtls_ctr_drbg_context* get() noexcept { return &generator_; }

  private:
    mbedtls_entropy_context entropy_;
    mbedtls_ctr_drbg_context generator_;
};

struct TlsCertificates {
    mbedtls_x509_crt chain;
    TlsCertificates() noexcept { mbedtls_x509_crt_init(&chain); }
    ~TlsCertificates() { mbedtls_x509_crt_free(&chain); }
    TlsCertificates(const TlsCertificates&) = delete;
    TlsCertificates& operator=(const TlsCertificates&) = delete;
};

struct TlsKey {
    mbedtls_pk_context key;
    TlsKey() noexcept { mbedtls_pk_init(&key); }
    ~TlsKey() { mbedtls_pk_free(&key); }
    TlsKey(const TlsKey&) = delete;
    TlsKey& operator=(const TlsKey&) = delete;
};

struct TlsLibraryConfig {
    mbedtls_ssl_config config;
    TlsLibraryConfig() noexcept { mbedtls_ssl_config_init(&config); }
    ~TlsLibraryConfig() { mbedtls_ssl_config_free(&config); }
    TlsLibraryConfig(const TlsLibraryConfig&) = delete;
    TlsLibraryConfig& operator=(const TlsLibraryConfig&) = delete;
};

// PEM parsers want the terminating zero counted.
inline int parse_certificates(TlsCertificates& into, const std::string& pem) noexcept {
    return mbedtls_x509_crt_parse(&into.chain, reinterpret_cast<const unsigned char*>(pem.c_str()), pem.size() + 1);
}

inline int parse_key(TlsKey& into, const std::string& pem, [[maybe_unused]] TlsGenerator& generator) noexcept {
    auto* text = reinterpret_cast<const unsigned char*>(pem.c_str());
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(&into.key, text, pem.size() + 1, nullptr, 0, mbedtls_ctr_drbg_random, generator.get());
#else
    return mbedtls_pk_parse_key(&into.key, text, pem.size() + 1, nullptr, 0);
#endif
}

inline bool is_pair(const TlsCertificates& certificates, const TlsKey& key, [[maybe_unused]] TlsGenerator& generator) noexcept {
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_check_pair(&certificates.chain.pk, &key.key, mbedtls_ctr_drbg_random, generator.get()) == 0;
#else
    return mbedtls_pk_check_pair(&certificates.chain.pk, &key.key) == 0;
#endif
}

/// The library's own words for an error, on one line.
std::string explain_tls_error(int error);

}  // namespace entrepot
