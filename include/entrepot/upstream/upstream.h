#pragma once
// One HTTP exchange with a registry upstream, after everything that has to happen before its body flows: the endpoint's
// address, a pooled connection or a new one (TLS verified), the challenge and a token, redirects, retries within the budget.
// What leaves is rebuilt from parsed values: no client byte ever reaches an upstream.
//
// Credentials go only to the origins they belong to: the upstream's endpoints, and for tokens the realms its rules allow. A
// redirect is followed at most five times, always without credentials, never to a private address unless allowed, never from
// https to http, never to ourselves.
//
// Upstreams is one per shard (its pools); UpstreamTable is shared and holds what must be one per process: specification,
// rate-limit state, counters. It grows while the server runs, on the home loop; others get to an upstream by the pointer they were given.

#include "entrepot/base/result.h"
#include "entrepot/io/await.h"
#include "entrepot/io/fair_slots.h"
#include "entrepot/net/stream.h"
#include "entrepot/rules/service_config.h"
#include "entrepot/upstream/credential.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace entrepot {

/// A login server's transport, from configuration or built in. Immutable.
struct UpstreamSpec {
    std::string login_server;            ///< "docker.io"
    std::vector<std::string> endpoints;  ///< "https://registry-1.docker.io"; tried in order
    std::string ca_file;                 ///< "": the system's trust store
    /// It, its redirects and realms may resolve to private or loopback addresses (to link-local ones only the endpoints).
    bool allow_private = false;
    std::vector<std::string> realms;  ///< further token realm origins ("https://auth.docker.io") that may see credentials
};

enum class UpstreamKind : std::uint8_t { manifest_get, manifest_head, blob, token, tags, referrers };
constexpr std::size_t upstream_kinds = 6;
std::string_view name_of(UpstreamKind kind) noexcept;

/// Why an upstream did not deliver; `why` is one escaped line for people, at most 300 bytes, free of secrets.
struct UpstreamFailure {
    Error error;  ///< detail: the HTTP status, when there was one
    std::string why;
    Duration retry_after{0};  ///< from a 429 or 503, clamped to 1 h
};

struct UpstreamRequest {
    const UpstreamSpec* upstream = nullptr;  ///< of the table
    CredentialPointer credential;            ///< null: anonymous
    UpstreamKind kind = UpstreamKind::blob;
    std::string repository;        ///< "library/alpine": path and token scope
    std::string resource;          ///< "manifests/latest", "blobs/sha256:...", "tags/list", "referrers/sha256:..."
    std::string query;             ///< encoded, without '?'
    std::uint64_t range_from = 0;  ///< > 0: "Range: bytes=N-"
    bool head = false;
    ClientKey client = 0;      ///< who wants it: upstream's exchanges are shared fairly among clients
    Askers* askers = nullptr;  ///< everybody who wants it, when that may become more than `client`; lives as long as ask() runs
};

/// A response whose head arrived with a usable status (200 or 206). Destroy after finish().
class UpstreamExchange {
  public:
    virtual ~UpstreamExchange() = default;

    virtual int status() const noexcept = 0;
    virtual std::optional<std::uint64_t> content_length() const noexcept = 0;  ///< of this body
    virtual std::uint64_t range_start() const noexcept = 0;                    ///< 206: from Content-Range; else 0
    virtual std::optional<std::uint64_t> total_length() const noexcept = 0;    ///< of the whole resource, when told
    virtual const std::string& content_type() const noexcept = 0;              ///< without parameters, lower case
    virtual const std::string& docker_content_digest() const noexcept = 0;     ///< "" when absent
    virtual const std::string& link() const noexcept = 0;  ///< of a paged list (the one with rel="next"), "" when absent
    virtual const std::string& filters_applied() const noexcept = 0;
    virtual std::size_t endpoint() const noexcept = 0;  ///< of UpstreamSpec::endpoints: who answered, for distrust()

    /// The next bytes of the body into a buffer that is not empty, framing removed; 0 at its proper end. A body that ends early
    /// is Fault::upstream with Code::wrong_length (FIN) or Code::reset, broken framing Code::bad_message, a stalled body
    /// Code::timeout (less than 1 KiB/s over 30 s, or nothing for 30 s; the caller's own pauses do not count). After
    /// interrupt(): Fault::shutdown.
    virtual Task<Result<std::size_t>> read(MutableBytes into) = 0;
    /// Waits until read() will have something to say, so that nobody holds a buffer for an upstream that takes its time; false when `until` passes
    /// first. Fails as read() does. A hint: a read() may still wait for the rest of a TLS record.
    virtual Task<Result<bool>> until_readable(Instant until) = 0;
    /// Gives the connection back to its pool when the body was read to its end, closes it otherwise.
    virtual Task<void> finish() = 0;
};

using UpstreamAnswer = Result<std::unique_ptr<UpstreamExchange>, UpstreamFailure>;

class UpstreamTable {
  public:
    struct Options {
        Duration connect_timeout = std::chrono::seconds(5);
        Duration first_byte_timeout = std::chrono::seconds(10);  ///< asked twice, still within containerd's 30 s for a head
        Duration stall_window = std::chrono::seconds(30);        ///< a body that brings less than 1 KiB/s over this has stalled
        Duration idle_time_max = std::chrono::seconds(50);       ///< under the 60 s after which many front ends hang up
        Duration secret_life = std::chrono::seconds(30);  ///< a secret is read again after this, or at once when it is refused
        std::size_t connections_per_upstream_max =
            64;  ///< per shard, active, half of them for one client; further exchanges wait, clients in turn, at most 60 s
        std::size_t idle_connections_max = 16;  ///< per shard and origin
        std::size_t waiting_max = 4096;  ///< exchanges waiting for a connection, half of them of one client; beyond: Code::busy
        std::size_t upstreams_max = 10'000;      ///< beyond: add() fails
        ServiceConfig services;                  ///< where identities and vaults are asked
        std::vector<std::string> own_addresses;  ///< our listeners, "127.0.0.1:5000", "0.0.0.0:5000": nothing leads us there
    };
    struct Counters {  ///< one per upstream; read from any thread
        /// [kind][status / 100; 0: no answer]
        std::array<std::array<std::atomic<std::uint64_t>, 6>, upstream_kinds> by_status{};
        std::atomic<std::uint64_t> bytes{0};
        std::atomic<std::int64_t> ratelimit_remaining{-1};
        FairSlotCounters exchanges;
    };

    /// Blocking: loads CA files, once each. The error is one line for the operator.
    static Result<std::unique_ptr<UpstreamTable>, std::string> make(std::vector<UpstreamSpec> upstreams, Options options);
    virtual ~UpstreamTable() = default;

    /// Once: the loop that owns what is one per process (shard 0).
    virtual void set_home(Loop& home) noexcept = 0;
    /// Reads and parses a CA file (empty: the system's store), so that add() has it ready. Blocking, from any thread.
    virtual Result<void, std::string> load_trust(const std::string& ca_file) = 0;
    /// Reads every CA file that was read before again. New connections trust what a good one holds now; one that cannot be used is said, and what it held stays.
    /// Blocking, from one thread at a time.
    virtual void renew_trust() = 0;

    // What follows is the home loop's, or anybody's before the loops run.

    /// A further login server; it stays for the life of the process, at the same place. Blocks only where load_trust() was not called before. The
    /// error is one line for the operator.
    virtual Result<const UpstreamSpec*, std::string> add(UpstreamSpec upstream) = 0;
    /// What add() would say of these, one after the other; the table stays as it is.
    virtual Result<void, std::string> check(std::vector<UpstreamSpec> upstreams) = 0;
    virtual const UpstreamSpec* find(std::string_view login_server) const noexcept = 0;
    virtual std::size_t count() const noexcept = 0;
    virtual const UpstreamSpec& at(std::size_t index) const noexcept = 0;
    virtual const Counters& counters(std::size_t index) const noexcept = 0;
};

class Upstreams {
  public:
    static std::unique_ptr<Upstreams> make(UpstreamTable& table);
    virtual ~Upstreams() = default;

    /// One exchange. Manifests are asked for with the full Accept list, everything with Accept-Encoding: identity (an encoded
    /// answer is a failure). A 200 to a request with a range is the whole; a 206 begins where it was asked to.
    /// Failure: not_found, unauthorized, denied, too_many_requests, bad_status, refused, timeout, name_unresolved,
    /// address_forbidden, tls_*, loop, busy, ... Endpoints are tried in order (one that failed within 30 s comes last); then network errors and
    /// 500, 502, 503, 504 are retried at most twice, within 25 s and the upstream's budget. While an upstream is known to be
    /// down (circuit open after 5 failures in a row, one probe a second) it fails at once; while its 429 back-off lasts too.
    virtual Task<UpstreamAnswer> ask(UpstreamRequest request) = 0;
    /// What an endpoint delivered proved to be wrong (a digest that does not match): for 30 s it is tried after the others.
    virtual void distrust(const UpstreamSpec& upstream, std::size_t endpoint) noexcept = 0;
    /// Whether a request may be spent on asking again for what we have: not while upstream says that next to nothing is left of
    /// its rate limit, so that the rest is there for what we do not have. True once a minute all the same, to learn when that
    /// ends.
    virtual bool spares_refresh(const UpstreamSpec& upstream, const Credential* credential) noexcept = 0;
    /// How the logins of a credential (or its identity) are met now by the token server of its upstream, or by its registry where there is none: whatever
    /// pulls found out before, and whatever a rate limit says. What could not be asked is unknown, with the reason. The credential remembers it.
    virtual Task<std::vector<CredentialHealth>> check(const UpstreamSpec& upstream, CredentialPointer credential) = 0;
    /// Shutdown: running and waiting exchanges end soon with Fault::shutdown (one whose connection is being opened after
    /// connect_timeout at the latest), and so does every later ask().
    virtual void interrupt() noexcept = 0;
    /// Waits for token requests made for other shards, then ends idle connections. Exchanges must have been finished.
    virtual Task<void> close() = 0;
};

}  // namespace entrepot
