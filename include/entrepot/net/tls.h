#pragma once
// TLS by mbedTLS, over any Stream. Verification of servers is always on and the host name is set on every context: in mbedTLS 2.28 a context without one
// accepts any certificate of a trusted CA, silently (CVE-2025-27809). Renegotiation is off, TLS 1.2 is the least (and with 2.28 the only) version.
// Contexts are made once and shared by the shards; each shard has its own random generator (mbedTLS 2.28 would lock a shared one).

#include "entrepot/net/stream.h"

#include <string>
#include <vector>

namespace entrepot {

/// What a TLS server shows. Immutable after load; outlives every stream made with it.
class TlsServerContext {
  public:
    /// PEM files. The error is one line for the operator: which file and why.
    static Result<std::unique_ptr<TlsServerContext>, std::string> load(const std::string& certificate_file, const std::string& key_file);
    virtual ~TlsServerContext() = default;
};

/// Whom a TLS client trusts. Immutable after load; outlives every stream made with it.
class TlsClientContext {
  public:
    /// `ca_file` empty: the system's trust store (/etc/ssl/certs/ca-certificates.crt). A missing system store is an error only when a handshake needs it.
    static Result<std::unique_ptr<TlsClientContext>, std::string> load(const std::string& ca_file);
    virtual ~TlsClientContext() = default;
};

/// Runs the handshake as server. The plain stream is consumed either way; on failure it is closed. Idle memory of the result: see net/tls_stream.cpp.
Task<Result<std::unique_ptr<Stream>>> accept_tls(std::unique_ptr<Stream> plain, const TlsServerContext& context, Instant deadline);

/// Runs the handshake as client and verifies the server as `host_name` (a DNS name or an IP address literal). Code::tls_certificate with a reason in
/// `why` (one line: "certificate is for other.example", "certificate expired (check this machine's clock too)", "issuer is not trusted", ...), else Code::tls_handshake.
Task<Result<std::unique_ptr<Stream>>> connect_tls(std::unique_ptr<Stream> plain, const TlsClientContext& context, std::string host_name, Instant deadline,
                                                  std::string& why);

}  // namespace entrepot
