#pragma once
// What can go wrong outside our own code. An Error names whose fault it was, because that alone decides the
// reaction (registry/reply.cpp is the one place that turns a fault into an answer). It is small, trivially copyable
// and carries no text; the text for people is made where the answer is made.

#include <cstdint>
#include <string_view>

namespace entrepot {

enum class Fault : std::uint8_t {
    client,    ///< malformed, gone, too slow: 4xx if nothing was sent yet, then close
    upstream,  ///< refused, 5xx, timeout, wrong digest: retry within budget, else 502/504 or a visibly short body
    storage,   ///< EIO, ENOSPC, checksum: serve without storing; never fails a pull that upstream can serve
    capacity,  ///< one of our bounds was reached: bypass, queue, or 503 with Retry-After
    policy,    ///< refused by a rule or a limit the operator set
    shutdown,  ///< we are leaving
};

enum class Code : std::uint8_t {
    closed,             ///< the peer ended the connection in order
    reset,              ///< the peer ended the connection by force, or the system did
    timeout,            ///< a deadline passed
    refused,            ///< connection refused or unreachable
    name_unresolved,    ///< the host name has no address
    address_forbidden,  ///< private, loopback or link-local address that no rule allows
    tls_handshake,      ///< the handshake failed
    tls_certificate,    ///< the certificate was refused: name, time, issuer
    bad_message,        ///< the bytes break the protocol
    too_large,          ///< a bound on size was passed
    bad_status,         ///< upstream answered with a status we cannot use (detail: the status)
    unauthorized,       ///< upstream wants credentials that we do not have, or refused ours (401)
    denied,             ///< upstream denies access (403)
    not_found,          ///< 404, or no such entry
    too_many_requests,  ///< 429
    wrong_digest,       ///< the bytes do not hash to their name
    wrong_length,       ///< fewer or more bytes than were promised
    no_space,           ///< ENOSPC, EDQUOT, or the capacity cannot make room
    io_failed,          ///< a disk operation failed
    corrupt,            ///< stored bytes do not match their checksum
    unsupported,        ///< well formed, but not something we do
    no_rule,            ///< no cache rule covers the reference
    loop,               ///< too many redirects, or a redirect to ourselves
    busy,               ///< a queue or table is full
    stopping,           ///< shutdown
};

struct Error {
    Fault fault = Fault::client;
    Code code = Code::closed;
    std::int32_t detail = 0;  ///< errno for system failures, the HTTP status for bad_status, else 0

    friend bool operator==(const Error&, const Error&) = default;
};
static_assert(sizeof(Error) == 8);

/// A lower-case name for logs, metrics and messages, e.g. "wrong_digest". Never empty.
std::string_view name_of(Fault fault) noexcept;
std::string_view name_of(Code code) noexcept;

}  // namespace entrepot
