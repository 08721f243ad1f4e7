#pragma once
// Is this certificate for whom we meant to reach, and if it is refused, why: in words for the operator.

#include "entrepot/net/address.h"

#include "net/tls_library.h"

#include <cstdint>
#include <optional>
#include <string>

namespace entrepot {

/// One verification of a server. The library checks chain, time and DNS names and calls on_certificate() for each certificate, the server's own last.
/// What it does not do is done there: addresses in iPAddress entries (mbedTLS 2.28 compares them with nothing), and names with a NUL byte.
class ServerCheck {
  public:
    /// `host_name`: a DNS name, a final dot is ignored, or the literal of an IP address.
    explicit ServerCheck(std::string_view host_name);

    /// The name the library shall compare and send (SNI); nullptr for an address, which SNI must not carry (RFC 6066) and this class compares.
    const char* name_for_library() const noexcept { return address_ ? nullptr : name_.c_str(); }

    /// For mbedtls_ssl_set_verify, with the ServerCheck as first argument.
    static int on_certificate(void* check, mbedtls_x509_crt* certificate, int depth, std::uint32_t* flags) noexcept;

    /// True once the server's own certificate was seen. No connection may be used without.
    bool saw_certificate() const noexcept { return saw_certificate_; }

    /// One line for `flags` as the library reports them at the end: "certificate is for other.example, not for registry.example".
    std::string reason(std::uint32_t flags) const;

  private:
    void look_at(const mbedtls_x509_crt& certificate, int depth, std::uint32_t& flags);

    std::string name_;
    std::optional<Address> address_;
    bool saw_certificate_ = false;
    bool self_signed_ = false, has_nul_ = false;
    std::string names_;             // of the server's certificate
    std::string expired_, future_;  // which certificate, and its date
};

}  // namespace entrepot
