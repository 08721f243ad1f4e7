#include "net/tls_context.h"

#include "entrepot/base/bytes.h"
#include "entrepot/base/out_of_memory.h"

#include <fmt/format.h>
#include <mbedtls/error.h>
#include <mbedtls/gcm.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

namespace entrepot {
namespace {

constexpr const char* system_trust_store = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::size_t file_bytes_max = 4 * MiB;  // the system's store is 220 KiB

// Forward secrecy and authenticated encryption only. AES-128 first: it is what the processor does fastest.
constexpr int cipher_suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

// mbedTLS 2.28's own order begins with the largest curve, which costs a multiple in each handshake.
#if MBEDTLS_VERSION_MAJOR >= 3
constexpr std::uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
                                    MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#else
constexpr mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP384R1,
                                           MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_NONE};
#endif

const char* application_protocols[] = {"http/1.1", nullptr};

/// The text of a file, or why there is none.
std::optional<std::string> read_text(const std::string& path, std::string& why) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    std::string text(file ? file_bytes_max + 1 : 0, '\0');
    if (file) text.resize(std::fread(text.data(), 1, text.size(), file.get()));
    if (!file || std::ferror(file.get())) {
        why = fmt::format("cannot read {}: {}", path, std::strerror(errno));
        return std::nullopt;
    }
    if (text.size() <= file_bytes_max) return text;
    why = fmt::format("{} is larger than {} MiB: not a certificate file", path, file_bytes_max / MiB);
    return std::nullopt;
}

Result<void, std::string> check_certificates(TlsCertificates& certificates, const std::string& path, const std::string& pem) {
    int result = parse_certificates(certificates, pem);
    if (result == 0) return {};
    if (result > 0) return fmt::format("{} holds {} certificates that cannot be read", path, result);
    if (pem.find("-----BEGIN CERTIFICATE-----") == pem.npos) return fmt::format("{} holds no PEM certificate", path);
    return fmt::format("cannot use the certificate in {}: {}", path, explain_tls_error(result));
}

Result<void, std::string> check_key(TlsKey& key, TlsGenerator& generator, const std::string& path, const std::string& pem) {
    int result = parse_key(key, pem, generator);
    if (result == 0) return {};
    if (result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || pem.find("ENCRYPTED") != pem.npos) {
        return fmt::format("the key in {} is encrypted: write it without a passphrase", path);
    }
    if (pem.find("PRIVATE KEY-----") == pem.npos) return fmt::format("{} holds no PEM private key", path);
    return fmt::format("cannot use the key in {}: {}", path, explain_tls_error(result));
}

/// For what was sound when it was loaded, and has no input but memory now.
void or_out_of_memory(bool done) {
    if (!done) end_out_of_memory();
}

/// What server and client configurations have in common.
void configure(mbedtls_ssl_config& config, int endpoint, TlsGenerator& generator) {
    int result = mbedtls_ssl_config_defaults(&config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    or_out_of_memory(result == 0);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, generator.get());
    mbedtls_ssl_conf_min_version(&config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);  // TLS 1.2
    mbedtls_ssl_conf_ciphersuites(&config, cipher_suites);
#if MBEDTLS_VERSION_MAJOR >= 3
    mbedtls_ssl_conf_groups(&config, groups);
#else
    mbedtls_ssl_conf_curves(&config, groups);
#endif
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(&config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    result = mbedtls_ssl_conf_alpn_protocols(&config, application_protocols);
    or_out_of_memory(result == 0);
}

struct ServerState {
    TlsGenerator generator;
    TlsCertificates certificates;
    TlsKey key;
    TlsLibraryConfig config;
};

class ServerContext final : public TlsServerContext {
  public:
    ServerContext(std::string certificate_pem, std::string key_pem)
        : certificate_pem_(std::move(certificate_pem)), key_pem_(std::move(key_pem)) {}
    ~ServerContext() override { mbedtls_platform_zeroize(key_pem_.data(), key_pem_.size()); }

    void prepare() const override { config(); }
    const mbedtls_ssl_config& config() const {
        return states_.get([this] { return make_state(); }).config.config;
    }

  private:
    /// load() made the same from the same text, so that it cannot fail now.
    std::unique_ptr<ServerState> make_state() const {
        auto state = std::make_unique<ServerState>();
        bool ready = state->generator.seed() == 0 && parse_certificates(state->certificates, certificate_pem_) == 0 &&
                     parse_key(state->key, key_pem_, state->generator) == 0;
        or_out_of_memory(ready);
        configure(state->config.config, MBEDTLS_SSL_IS_SERVER, state->generator);
        int result = mbedtls_ssl_conf_own_cert(&state->config.config, &state->certificates.chain, &state->key.key);
        or_out_of_memory(result == 0);
        return state;
    }

    std::string certificate_pem_, key_pem_;
    mutable PerThread<ServerState> states_;
};

struct ClientState {
    TlsGenerator generator;
    TlsCertificates trusted;
    TlsLibraryConfig config;
};

class ClientContext final : public TlsClientContext {
  public:
    ClientContext(std::string trusted_pem, std::string missing, bool verifying = true)
        : missing_trust(std::move(missing)), verifies(verifying), trusted_pem_(std::move(trusted_pem)) {}

    void prepare() const override { config(); }
    std::string_view trusted() const noexcept override { return trusted_pem_; }
    const mbedtls_ssl_config& config() const {
        return states_.get([this] { return make_state(); }).config.config;
    }

    const std::string missing_trust;
    const bool verifies;

  private:
    std::unique_ptr<ClientState> make_state() const {
        auto state = std::make_unique<ClientState>();
        bool ready = state->generator.seed() == 0;
        or_out_of_memory(ready);
        if (verifies && missing_trust.empty()) ready = parse_certificates(state->trusted, trusted_pem_) >= 0;
        or_out_of_memory(ready);
        auto& config = state->config.config;
        configure(config, MBEDTLS_SSL_IS_CLIENT, state->generator);
        mbedtls_ssl_conf_authmode(&config, verifies ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
        mbedtls_ssl_conf_ca_chain(&config, &state->trusted.chain, nullptr);
        return state;
    }

    std::string trusted_pem_;
    mutable PerThread<ClientState> states_;
};

}  // namespace

std::string explain_tls_error(int error) {
    char text[256] = {};
    mbedtls_strerror(error, text, sizeof text);
    return text[0] != '\0' ? std::string(text) : fmt::format("error -{:#x}", -error);
}

void warm_up_crypto() {
    static std::once_flag once;
    std::call_once(once, [] {
#if MBEDTLS_VERSION_MAJOR >= 3
        psa_crypto_init();
#endif
        mbedtls_gcm_context gcm;
        mbedtls_gcm_init(&gcm);
        unsigned char key[16] = {}, nonce[12] = {}, block[16] = {}, tag[16] = {};
        int result = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, 128);
        if (result == 0)
            result = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, sizeof block, nonce, sizeof nonce, nullptr, 0, block,
                                               block, sizeof tag, tag);
        mbedtls_gcm_free(&gcm);
        or_out_of_memory(result == 0);
    });
}

Result<std::unique_ptr<TlsServerContext>, std::string> TlsServerContext::load(const std::string& certificate_file,
                                                                              const std::string& key_file) {
    warm_up_crypto();
    std::string why;
    auto certificate_pem = read_text(certificate_file, why);
    if (!certificate_pem) return why;
    auto key_pem = read_text(key_file, why);
    if (!key_pem) return why;

    TlsGenerator generator;
    if (int result = generator.seed(); result != 0)
        return fmt::format("the random generator cannot be seeded: {}", explain_tls_error(result));
    TlsCertificates certificates;
    if (auto checked = check_certificates(certificates, certificate_file, *certificate_pem); !checked) return checked.error();
    TlsKey key;
    if (auto checked = check_key(key, generator, key_file, *key_pem); !checked) return checked.error();
    if (!is_pair(certificates, key, generator))
        return fmt::format("the key in {} does not belong to the certificate in {}", key_file, certificate_file);
    return std::unique_ptr<TlsServerContext>(std::make_unique<ServerContext>(std::move(*certificate_pem), std::move(*key_pem)));
}

Result<std::unique_ptr<TlsClientContext>, std::string> TlsClientContext::load(const std::string& ca_file) {
    warm_up_crypto();
    bool system_store = ca_file.empty();
    const std::string path = system_store ? system_trust_store : ca_file;
    std::string why;
    auto pem = read_text(path, why);
    if (pem) {
        TlsCertificates trusted;
        auto checked = check_certificates(trusted, path, *pem);
        // Some entries of the system's store may be of a kind that the library does not know; the others count.
        bool some = trusted.chain.raw.p != nullptr;
        if (!checked && !(system_store && some)) why = checked.error();
    }
    if (why.empty()) return std::unique_ptr<TlsClientContext>(std::make_unique<ClientContext>(std::move(*pem), std::string()));
    if (!system_store) return why;
    auto missing = fmt::format("no trust store ({}): install ca-certificates or name a CA file", why);
    return std::unique_ptr<TlsClientContext>(std::make_unique<ClientContext>(std::string(), std::move(missing)));
}

std::unique_ptr<TlsClientContext> TlsClientContext::trusting_anybody() {
    warm_up_crypto();
    return std::make_unique<ClientContext>(std::string(), std::string(), false);
}

const mbedtls_ssl_config& server_config(const TlsServerContext& context) {
    return static_cast<const ServerContext&>(context).config();
}

const mbedtls_ssl_config& client_config(const TlsClientContext& context) {
    return static_cast<const ClientContext&>(context).config();
}

bool verifies(const TlsClientContext& context) noexcept { return static_cast<const ClientContext&>(context).verifies; }

const std::string& missing_trust(const TlsClientContext& context) noexcept {
    return static_cast<const ClientContext&>(context).missing_trust;
}

}  // namespace entrepot
