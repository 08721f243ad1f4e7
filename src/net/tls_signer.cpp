#include "entrepot/net/tls_signer.h"

#include "net/tls_library.h"

#include <fmt/format.h>
#include <mbedtls/md.h>

#include <array>

namespace entrepot {
namespace {

std::string digest_of(mbedtls_md_type_t kind, const unsigned char* bytes, std::size_t length) {
    auto* info = mbedtls_md_info_from_type(kind);
    std::string digest(info ? mbedtls_md_get_size(info) : 0, '\0');
    bool made = info && mbedtls_md(info, bytes, length, reinterpret_cast<unsigned char*>(digest.data())) == 0;
    return made ? digest : std::string();
}

class Signer final : public TlsSigner {
  public:
    std::string thumbprint() const override {
        auto& raw = certificates.chain.raw;
        return digest_of(MBEDTLS_MD_SHA1, raw.p, raw.len);
    }
    std::string sign(std::string_view text) override {
        auto digest = digest_of(MBEDTLS_MD_SHA256, reinterpret_cast<const unsigned char*>(text.data()), text.size());
        auto* hash = reinterpret_cast<const unsigned char*>(digest.data());
        std::array<unsigned char, MBEDTLS_PK_SIGNATURE_MAX_SIZE> signature{};
        std::size_t length = 0;
#if MBEDTLS_VERSION_MAJOR >= 3
        int result = mbedtls_pk_sign(&key.key, MBEDTLS_MD_SHA256, hash, digest.size(), signature.data(), signature.size(),
                                     &length, mbedtls_ctr_drbg_random, generator.get());
#else
        int result = mbedtls_pk_sign(&key.key, MBEDTLS_MD_SHA256, hash, digest.size(), signature.data(), &length,
                                     mbedtls_ctr_drbg_random, generator.get());
#endif
        if (result != 0) return {};
        return std::string(reinterpret_cast<const char*>(signature.data()), length);
    }

    TlsGenerator generator;
    TlsCertificates certificates;
    TlsKey key;
};

}  // namespace

Result<std::unique_ptr<TlsSigner>, std::string> TlsSigner::load(const std::string& pem, const std::string& path) {
    auto signer = std::make_unique<Signer>();
    if (signer->generator.seed() != 0) return std::string("the random generator cannot be seeded");
    if (parse_certificates(signer->certificates, pem) != 0)
        return fmt::format("{} holds no PEM certificate that can be read", path);
    if (parse_key(signer->key, pem, signer->generator) != 0)
        return fmt::format("{} holds no PEM private key that can be read (one without a passphrase)", path);
    if (!mbedtls_pk_can_do(&signer->key.key, MBEDTLS_PK_RSA)) return fmt::format("the key in {} is no RSA key", path);
    if (!is_pair(signer->certificates, signer->key, signer->generator))
        return fmt::format("the key in {} does not belong to the certificate there", path);
    return std::unique_ptr<TlsSigner>(std::move(signer));
}

}  // namespace entrepot
