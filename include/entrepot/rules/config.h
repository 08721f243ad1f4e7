#pragma once
// The configuration file as a value. Parsing is pure: text in, a complete and consistent Config or one line that says where
// and why not. What parses here is what runs; nobody checks again later, and a running server keeps its old Config when
// the new text is refused. Every key is optional; the defaults are the members' initialisers.

#include "entrepot/base/bytes.h"
#include "entrepot/base/log.h"
#include "entrepot/base/result.h"
#include "entrepot/rules/credential_set.h"
#include "entrepot/rules/endpoint.h"
#include "entrepot/rules/rule_table.h"
#include "entrepot/rules/service_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

/// Where to listen: an IP address and a port (0: any free one), or a Unix socket.
struct ListenAddress {
    std::string host;  ///< "127.0.0.1", "::1" (no brackets); empty for a Unix socket
    std::uint16_t port = 0;
    std::string unix_path;  ///< absolute; empty for TCP

    friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

/// "127.0.0.1:5000", "[::1]:5000" or "unix:/run/entrepot/admin.sock". Host names are refused: an address to bind must not
/// depend on a resolver. The error is a phrase that follows the quoted text.
Result<ListenAddress, std::string> parse_listen_address(std::string_view text);

/// How much the store may hold: a share of the volumes' file systems, or bytes.
struct StoreCapacity {
    std::optional<unsigned> percent = 80;  ///< 1 to 100
    std::uint64_t bytes = 0;               ///< when there is no percent; never 0 then

    friend bool operator==(const StoreCapacity&, const StoreCapacity&) = default;
};
std::optional<StoreCapacity> parse_capacity(std::string_view text) noexcept;

struct ServerConfig {
    std::vector<ListenAddress> listen{{.host = "127.0.0.1", .port = 5000}};
    std::vector<ListenAddress> admin{{.host = "127.0.0.1", .port = 5001}, {.unix_path = "/run/entrepot/admin.sock"}};
    bool admin_given = false;  ///< else the socket is left out where it cannot be made, and the server starts all the same
    std::string admin_group;   ///< of Unix sockets; empty: the server's own
    unsigned shards = 0;       ///< 0: one per allowed core
    std::string default_login_server = "docker.io";
    std::string public_url;            ///< "https://cache.example", where clients reach us; empty: as each request's Host says
    bool default_rules = true;         ///< map the public registries one to one while the file has no rule
    bool docker_hub_anonymous = true;  ///< rules may use Docker Hub without credentials
    std::string access_log;            ///< a file; empty: none is written
    Level log_level = Level::info;     ///< "debug", "info", "warning", "error"
};
constexpr std::size_t listen_addresses_max = 64;
constexpr std::size_t admin_addresses_max = 8;
constexpr unsigned shards_max = 1024;

struct TlsConfig {
    std::string certificate;
    std::string private_key;

    friend bool operator==(const TlsConfig&, const TlsConfig&) = default;
};

struct StoreConfig {
    std::string path = "/var/lib/entrepot";
    std::vector<std::string> volumes;  ///< empty: `path` is the only one
    StoreCapacity capacity;
    Duration scrub = std::chrono::days(30);  ///< in which everything stored is read once; 0: "never"

    friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};
constexpr std::size_t volumes_max = 64;

struct UpstreamConfig {
    std::string login_server;
    std::vector<Endpoint> endpoints;  ///< never empty: from the file, the known registries, or https://<login server>
    std::string ca_file;              ///< empty: the system's
    bool allow_private = false;
    std::vector<Endpoint> realms;  ///< further origins of token realms, from the file and the known registries

    friend bool operator==(const UpstreamConfig&, const UpstreamConfig&) = default;
};
constexpr std::size_t upstreams_max = 10'000;
constexpr std::size_t endpoints_max = 16;  ///< of one upstream; likewise realms

/// Beyond what docs/OPERATING.md's sample shows: [server] log_level, rules_max and strict_overlap (RuleTable::Options);
/// what a [[cache_rule]] asks for besides its mapping (RuleText).
struct Config {
    /// Longer files are refused; 100,000 rules of ordinary length take about 12 MiB.
    static constexpr std::size_t bytes_max = 64 * MiB;
    static constexpr std::size_t line_bytes_max = 8 * KiB;

    ServerConfig server;
    std::optional<TlsConfig> tls;  ///< absent: plain HTTP
    StoreConfig store;
    ServiceConfig services;
    std::vector<UpstreamConfig> upstreams;
    std::vector<CredentialSet> credential_sets;
    std::vector<RuleText> rules;        ///< default_rules() when the file has none
    RuleTable::Options rule_options;    ///< to build the table again when rules of the API come in
    std::vector<std::string> warnings;  ///< from RuleTable::warnings()

    /// Parses the text of a file. The error is one line without a line end, `<file>:<line>: <reason>`, and never shows a
    /// secret. An empty text is the default configuration.
    static Result<Config, std::string> parse(std::string_view text, std::string_view file);

    /// The entry of the file, or what the known registries say, or https://<login server>; never fails for a valid name.
    UpstreamConfig upstream_of(std::string_view login_server) const;

    const CredentialSet* find_credential_set(std::string_view name) const noexcept;

    /// Why this file's upstreams and options do not let a rule be, or "". For rules of the file and of the API alike.
    std::string objection_to(const CacheRule& rule) const;
};

}  // namespace entrepot
