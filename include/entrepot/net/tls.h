#pragma once
// TLS by mbedTLS, over any Stream. Verification of servers is on (but for trusting_anybody()) and the host name is set on every context: in mbedTLS 2.28 a context without one
// accepts any certificate of a trusted CA, silently (CVE-2025-27809). Renegotiation is off, TLS 1.2 is the least (and with 2.28 the only) version.
// Contexts are made once and shared by the shards; inside, each thread has its own keys, trusted certificates and random generator, because mbedTLS 2.28 writes to
// all three while it uses them (precomputed curve points without a lock, the others under one).

#include "entrepot/net/stream.h"

#include <string>
#include <vector>

namespace entrepot {

/// Runs each cipher once, so that the library looks for the processor's AES instructions before there are threads: in mbedTLS before 3.6.4 that look is
/// a race (CVE-2025-52496). main() calls it before it starts any thread.
void warm_up_crypto();

/// What a TLS server shows. Immutable after load; outlives every stream made with it.
class TlsServerContext {
  public:
    /// PEM files. The error is one line for the operator: which file and why.
    static Result<std::unique_ptr<TlsServerContext>, std::string> load(const std::string& certificate_file,
                                                                       const std::string& key_file);
    virtual ~TlsServerContext() = default;
    /// Makes the calling thread's own copy of keys and configuration now rather than in its first handshake.
    virtual void prepare() const = 0;
};

/// Whom a TLS client trusts. Immutable after load; outlives every stream made with it.
class TlsClientContext {
  public:
    /// `ca_file` empty: the system's trust store (/etc/ssl/certs/ca-certificates.crt). A missing system store is an error only when a handshake needs it.
    static Result<std::unique_ptr<TlsClientContext>, std::string> load(const std::string& ca_file);
    /// Trusts whoever answers. For measuring tools whose user asked for it in so many words; the server never makes one.
    static std::unique_ptr<TlsClientContext> trusting_anybody();
    virtual ~TlsClientContext() = default;
    /// The PEM text of whom it trusts; empty when there is no trust store, or when everybody is trusted.
    virtual std::string_view trusted() const noexcept = 0;
    /// As TlsServerContext::prepare(). Parsing the system's trust store takes 3 to 5 ms and 0.4 MiB for each thread, so a shard does it before it serves.
    virtual void prepare() const = 0;
};

/// Runs the handshake as server. The plain stream is consumed either way; on failure it is closed. Idle memory of the result: see net/tls_stream.cpp.
Task<Result<std::unique_ptr<Stream>>> accept_tls(std::unique_ptr<Stream> plain, const TlsServerContext& context,
                                                 Instant deadline);

/// How `why` begins when nobody we trust vouches for the server.
constexpr std::string_view untrusted_issuer = "issuer is not trusted";

/// Runs the handshake as client and verifies the server as `host_name` (a DNS name or an IP address literal). Code::tls_certificate with a reason in
/// `why` (one line: "certificate is for other.example", "certificate expired (check this machine's clock too)", "issuer is not trusted", ...), else Code::tls_handshake.
Task<Result<std::unique_ptr<Stream>>> connect_tls(std::unique_ptr<Stream> plain, const TlsClientContext& context,
                                                  std::string host_name, Instant deadline, std::string& why);

}  // namespace entrepot
