#include "entrepot/rules/config.h"

#include "entrepot/base/units.h"
#include "entrepot/rules/known_registries.h"

#include "rules/config_entries.h"
#include "rules/service_entries.h"

#include <arpa/inet.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <unordered_map>

namespace entrepot {

namespace {

constexpr std::size_t unix_path_bytes_max = 107;  // sun_path without its terminator

bool is_ip_literal(std::string_view host) noexcept {
    std::array<std::uint8_t, 16> address{};
    const std::string text(host);
    return inet_pton(AF_INET, text.c_str(), address.data()) == 1 || inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

// The whole of `text` as a decimal number.
template <typename Number>
bool parse_number(std::string_view text, Number& number) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool is_group_name(std::string_view name) noexcept {
    constexpr std::size_t name_bytes_max = 32;  // as useradd(8) has it
    return !name.empty() && name.size() <= name_bytes_max &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == std::string_view::npos;
}

Endpoint https(std::string_view host_and_port) {
    return *parse_endpoint(fmt::format("https://{}", host_and_port));  // callers pass valid login servers
}

// People paste the whole realm URL of a challenge; its origin is what counts.
Result<Endpoint, std::string> parse_realm(std::string_view text) {
    const std::size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) return parse_endpoint(fmt::format("https://{}", text));
    return parse_endpoint(text.substr(0, text.find_first_of("/?", scheme + 3)));
}

// What the file left out and everybody knows.
void complete(UpstreamConfig& upstream) {
    const KnownRegistry* known = find_known_registry(upstream.login_server);
    if (upstream.endpoints.empty()) upstream.endpoints.push_back(https(known ? known->endpoint_host : upstream.login_server));
    if (!known) return;
    for (const std::string_view host : known->realm_hosts) upstream.realms.push_back(https(host));
}

}  // namespace

// Reads the tables of one file into one Config. Every step may find a problem; the first one stays, and later steps may run on
// without harm.
class ConfigReader {
  public:
    explicit ConfigReader(ConfigProblem& problem) : problem_(problem) {}

    Config read(const toml::table& document) {
        ConfigSection top(document, "the file", problem_);
        if (const auto* table = top.table("server")) read_server({*table, "[server]", problem_});
        if (const auto* table = top.table("tls")) read_tls({*table, "[tls]", problem_});
        if (const auto* table = top.table("store")) read_store({*table, "[store]", problem_});
        if (const auto* table = top.table("vault")) read_vault({*table, "[vault]", problem_}, config_.services.vault);
        if (const auto* table = top.table("identity")) read_identity({*table, "[identity]", problem_}, config_.services.identity);
        for (const auto* table : top.tables("upstream", upstreams_max)) read_upstream({*table, "[[upstream]]", problem_});
        for (const auto* table : top.tables("credential_set", credential_sets_max))
            read_credential_set({*table, "[[credential_set]]", problem_});
        for (const auto* table : top.tables("cache_rule", RuleTable::rules_max_ceiling))
            read_rule({*table, "[[cache_rule]]", problem_});
        top.refuse_unknown_keys();
        if (!problem_.found()) check_rules();
        return std::move(config_);
    }

  private:
    void read_server(ConfigSection section) {
        ServerConfig& server = config_.server;
        if (const auto* list = section.list("listen", listen_addresses_max)) {
            server.listen.clear();
            for (const auto& node : *list) read_listen(section, node);
            if (server.listen.empty()) section.refuse("listen", "must name at least one address");
        }
        read_admin(section);
        std::string group;
        if (section.text("admin_group", group)) {
            if (!is_group_name(group)) section.refuse("admin_group", "must be the name of a group");
            server.admin_group = std::move(group);
        }
        section.number("shards", shards_max, server.shards);
        read_default_login_server(section);
        read_public_url(section);
        read_log_level(section);
        section.path("access_log", server.access_log);
        section.flag("default_rules", server.default_rules);
        section.flag("docker_hub_anonymous", server.docker_hub_anonymous);
        section.number("rules_max", RuleTable::rules_max_ceiling, config_.rule_options.rules_max);
        section.flag("strict_overlap", config_.rule_options.strict_overlap);
        section.refuse_unknown_keys();
    }

    void read_listen(ConfigSection& section, const toml::node& node) {
        std::string text;
        ListenAddress address;
        if (!section.element_text("listen", node, text)) return;
        if (!take(section, "listen", text, parse_listen_address(text), address)) return;
        auto& listen = config_.server.listen;
        if (!address.unix_path.empty()) return section.refuse("listen", "must be IP addresses: registry clients speak TCP");
        const bool twice = address.port != 0 && std::find(listen.begin(), listen.end(), address) != listen.end();
        if (twice) return section.refuse("listen", fmt::format("has {} twice", text));
        listen.push_back(std::move(address));
    }

    // One address as a text, or several as a list.
    void read_admin(ConfigSection& section) {
        ServerConfig& server = config_.server;
        std::vector<std::string> texts;
        if (section.is_list("admin")) {
            const auto* list = section.list("admin", admin_addresses_max);
            for (std::size_t i = 0; list && i < list->size(); ++i) {
                std::string text;
                if (section.element_text("admin", *list->get(i), text)) texts.push_back(std::move(text));
            }
            if (texts.empty()) return section.refuse("admin", "must name at least one address");
        } else {
            std::string text;
            if (!section.text("admin", text)) return check_admin(section);
            texts.push_back(std::move(text));
        }
        server.admin.clear();
        server.admin_given = true;
        for (const std::string& text : texts) {
            ListenAddress address;
            if (!take(section, "admin", text, parse_listen_address(text), address)) return;
            const bool any_port = address.unix_path.empty() && address.port == 0;
            const bool twice = !any_port && std::find(server.admin.begin(), server.admin.end(), address) != server.admin.end();
            if (twice) return section.refuse("admin", fmt::format("has {} twice", escaped(text, 300)));
            server.admin.push_back(std::move(address));
        }
        check_admin(section);
    }

    void check_admin(ConfigSection& section) {
        const auto& listen = config_.server.listen;
        for (const ListenAddress& admin : config_.server.admin) {
            const bool shared = admin.port != 0 && std::find(listen.begin(), listen.end(), admin) != listen.end();
            if (shared) section.refuse("admin", "must not be one of the listen addresses");
        }
    }

    // An empty one is allowed: then only targets and ns select rules.
    void read_default_login_server(ConfigSection& section) {
        std::string text;
        if (!section.text("default_login_server", text)) return;
        if (!text.empty() && !is_login_server(text)) {
            return section.refuse(
                "default_login_server",
                fmt::format("is \"{}\", which is no login server (host or host:port, in lower case)", escaped(text, 300)));
        }
        config_.server.default_login_server = canonical_login_server(text);
    }

    // Challenges send clients there for a token.
    void read_public_url(ConfigSection& section) {
        std::string text;
        if (!section.text("public_url", text) || text.empty()) return;
        Endpoint endpoint;
        if (take(section, "public_url", text, parse_endpoint(text), endpoint)) config_.server.public_url = endpoint.url();
    }

    void read_log_level(ConfigSection& section) {
        std::string text;
        if (!section.text("log_level", text)) return;
        constexpr std::array<std::pair<std::string_view, Level>, 4> levels{
            {{"debug", Level::debug}, {"info", Level::info}, {"warning", Level::warning}, {"error", Level::error}}};
        for (const auto& [name, level] : levels) {
            if (name != text) continue;
            config_.server.log_level = level;
            return;
        }
        section.refuse("log_level", "must be \"debug\", \"info\", \"warning\" or \"error\"");
    }

    void read_tls(ConfigSection section) {
        TlsConfig& tls = config_.tls.emplace();
        const bool certificate = section.path("certificate", tls.certificate), key = section.path("private_key", tls.private_key);
        if (!certificate || !key) section.refuse("", "needs both certificate and private_key");
        section.refuse_unknown_keys();
    }

    void read_store(ConfigSection section) {
        section.path("path", config_.store.path);
        if (const auto* list = section.list("volumes", volumes_max)) {
            for (const auto& node : *list) read_volume(section, node);
        }
        std::string text;
        if (section.text("capacity", text)) {
            const auto capacity = parse_capacity(text);
            if (capacity) config_.store.capacity = *capacity;
            if (!capacity)
                section.refuse("capacity", fmt::format("is \"{}\", which is neither a share (\"80%\") nor a size (\"500GiB\")",
                                                       escaped(text, 100)));
        }
        if (section.text("scrub", text)) read_scrub(section, text);
        section.refuse_unknown_keys();
    }

    void read_scrub(ConfigSection& section, std::string_view text) {
        const auto period = text == "never" ? std::optional(Duration{0}) : parse_duration(text);
        if (period && (*period >= seconds(1) || text == "never")) config_.store.scrub = *period;
        else
            section.refuse("scrub",
                           fmt::format("is \"{}\", which is neither \"never\" nor a duration like \"30d\" of a second or more",
                                       escaped(text, 100)));
    }

    void read_volume(ConfigSection& section, const toml::node& node) {
        std::string path;
        if (!section.element_path("volumes", node, path)) return;
        auto& volumes = config_.store.volumes;
        if (std::find(volumes.begin(), volumes.end(), path) != volumes.end())
            return section.refuse("volumes", fmt::format("has \"{}\" twice", path));
        volumes.push_back(std::move(path));
    }

    void read_upstream(ConfigSection section) {
        UpstreamConfig upstream;
        read_login_server_key(section, upstream.login_server);
        if (const auto* list = section.list("endpoints", endpoints_max)) {
            for (const auto& node : *list) read_origin(section, "endpoints", node, parse_endpoint, upstream.endpoints);
        }
        if (const auto* list = section.list("realms", endpoints_max)) {
            for (const auto& node : *list) read_origin(section, "realms", node, parse_realm, upstream.realms);
        }
        section.optional_path("ca_file", upstream.ca_file);
        section.flag("allow_private", upstream.allow_private);
        section.refuse_unknown_keys();
        if (problem_.found()) return;
        if (!upstream_names_.insert(upstream.login_server).second) {
            return section.refuse("login_server", fmt::format("\"{}\" has an [[upstream]] already", upstream.login_server));
        }
        complete(upstream);
        refuse_private(section, "endpoints", upstream.endpoints, upstream.allow_private);
        refuse_private(section, "realms", upstream.realms, upstream.allow_private);
        config_.upstreams.push_back(std::move(upstream));
    }

    template <typename Parse>
    void read_origin(ConfigSection& section, std::string_view key, const toml::node& node, Parse parse,
                     std::vector<Endpoint>& origins) {
        std::string text;
        Endpoint origin;
        if (!section.element_text(key, node, text) || !take(section, key, text, parse(text), origin)) return;
        origins.push_back(std::move(origin));
    }

    void refuse_private(ConfigSection& section, std::string_view key, const std::vector<Endpoint>& origins, bool allowed) {
        for (const Endpoint& origin : origins) {
            if (allowed || !is_private_host(origin.host)) continue;
            return section.refuse(
                key, fmt::format("has {}, on a loopback or private address, which needs allow_private = true", origin.url()));
        }
    }

    void read_credential_set(ConfigSection section) {
        CredentialSet set;
        read_credential_set_entry(section, set);
        if (problem_.found()) return;
        if (!credential_servers_.emplace(set.name, set.login_server).second) {
            return section.refuse("name", fmt::format("\"{}\" belongs to another credential set already", set.name));
        }
        config_.credential_sets.push_back(std::move(set));
    }

    void read_rule(ConfigSection section) {
        RuleText rule;
        read_rule_entry(section, rule);
        config_.rules.push_back(std::move(rule));
        rule_lines_.push_back(section.line());
    }

    /// Keeps a parsed value, or refuses its text.
    template <typename T>
    bool take(ConfigSection& section, std::string_view key, std::string_view text, Result<T, std::string> parsed, T& value) {
        if (parsed) {
            value = std::move(*parsed);
            return true;
        }
        section.refuse(key, fmt::format("has \"{}\", which {}", escaped(text, 300), parsed.error()));
        return false;
    }

    // What concerns rules together: credentials that exist and belong to the source, and the table's own refusals.
    void check_rules() {
        config_.rule_options.default_login_server = config_.server.default_login_server;
        if (config_.rules.empty() && config_.server.default_rules) {
            config_.rules = default_rules();
            if (!config_.server.docker_hub_anonymous)
                std::erase_if(config_.rules, [](const RuleText& rule) { return rule.source.starts_with("docker.io/"); });
        }
        auto table = RuleTable::build(config_.rules, config_.rule_options);
        if (!table) return refuse_rule(table.error());
        for (std::size_t i = 0; i < rule_lines_.size(); ++i) {
            check_credential(*table->rules()[i], rule_lines_[i]);
            check_options(*table->rules()[i], rule_lines_[i]);
        }
        config_.warnings.assign(table->warnings().begin(), table->warnings().end());
        for (std::size_t i = 0; i < config_.rules.size(); ++i) config_.rules[i] = table->rules()[i]->text();
        warn_of_rules_for_nobody();
        warn_of_plain_http();
    }

    void refuse_rule(const RuleRefusal& refusal) {
        std::string message = refusal.message;
        if (refusal.other) message.append(fmt::format(" (line {})", rule_lines_[*refusal.other]));
        problem_.note(refusal.rule < rule_lines_.size() ? rule_lines_[refusal.rule] : 0, std::move(message));
    }

    void check_options(const CacheRule& rule, unsigned line) {
        auto objection = config_.objection_to(rule);
        if (!objection.empty()) problem_.note(line, std::move(objection));
    }

    void check_credential(const CacheRule& rule, unsigned line) {
        if (rule.credential_set().empty()) return;
        const auto set = credential_servers_.find(rule.credential_set());
        if (set == credential_servers_.end()) {
            return problem_.note(
                line, fmt::format("cache rule \"{}\": there is no credential set \"{}\"", rule.name(), rule.credential_set()));
        }
        if (set->second == rule.login_server()) return;
        problem_.note(line, fmt::format("cache rule \"{}\": its source is on {}, but credential set \"{}\" belongs to {}",
                                        rule.name(), rule.login_server(), rule.credential_set(), set->second));
    }

    void warn_of_rules_for_nobody() {
        for (const RuleText& rule : config_.rules) {
            if (!rule.pull.empty() || rule.anonymous() || config_.warnings.size() >= RuleTable::warnings_max) continue;
            config_.warnings.push_back(fmt::format(
                "cache rule \"{}\" has {} and does not say who may use them, so nobody may pull through it: write pull = "
                "[\"anonymous\"] for everybody, or the names of accounts",
                rule.name, rule.identity.empty() ? "credentials" : "an identity"));
        }
    }

    void warn_of_plain_http() {
        for (const CredentialSet& set : config_.credential_sets) {
            for (const Endpoint& endpoint : config_.upstream_of(set.login_server).endpoints) {
                if (endpoint.tls || is_private_host(endpoint.host)) continue;
                config_.warnings.push_back(
                    fmt::format("credential set \"{}\" travels unprotected to {}", set.name, endpoint.url()));
            }
        }
    }

    ConfigProblem& problem_;
    Config config_;
    std::vector<unsigned> rule_lines_;
    std::set<std::string> upstream_names_;
    std::unordered_map<std::string, std::string> credential_servers_;
};

Result<ListenAddress, std::string> parse_listen_address(std::string_view text) {
    ListenAddress address;
    if (text.starts_with("unix:")) {
        address.unix_path = text.substr(5);
        const bool sound = address.unix_path.starts_with('/') && address.unix_path.size() <= unix_path_bytes_max;
        if (!sound) return fmt::format("must have an absolute path of at most {} bytes after \"unix:\"", unix_path_bytes_max);
        return address;
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::string("has no port");
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (!is_ip_literal(host) || bracketed != (host.find(':') != std::string_view::npos)) {
        return std::string("must be an IP address and a port, like 127.0.0.1:5000, 0.0.0.0:5000 or [::1]:5000");
    }
    if (!parse_number(text.substr(colon + 1), address.port)) return std::string("has no valid port");
    address.host = host;
    return address;
}

std::optional<StoreCapacity> parse_capacity(std::string_view text) noexcept {
    StoreCapacity capacity;
    if (text.ends_with('%')) {
        unsigned percent = 0;
        if (!parse_number(text.substr(0, text.size() - 1), percent) || percent < 1 || percent > 100) return std::nullopt;
        capacity.percent = percent;
        return capacity;
    }
    const auto bytes = parse_size(text);
    if (!bytes || *bytes == 0) return std::nullopt;
    capacity.percent.reset();
    capacity.bytes = *bytes;
    return capacity;
}

Result<Config, std::string> Config::parse(std::string_view text, std::string_view file) {
    ConfigProblem problem;
    const auto document = parse_toml(text, file);
    if (!document) return document.error();
    Config config = ConfigReader(problem).read(*document);
    if (problem.found()) return problem.text(file);
    return config;
}

UpstreamConfig Config::upstream_of(std::string_view login_server) const {
    login_server = canonical_login_server(login_server);
    for (const UpstreamConfig& upstream : upstreams) {
        if (upstream.login_server == login_server) return upstream;
    }
    UpstreamConfig upstream;
    upstream.login_server = login_server;
    complete(upstream);
    return upstream;
}

std::string Config::objection_to(const CacheRule& rule) const {
    const bool anonymous_hub = rule.login_server() == "docker.io" && rule.credential_set().empty();
    if (anonymous_hub && !server.docker_hub_anonymous)
        return fmt::format(
            "cache rule \"{}\": Docker Hub without credentials is switched off here (docker_hub_anonymous = false); name a "
            "credential set",
            rule.name());
    // A source on a private address that no [[upstream]] allows could be cached from never: better said now than at each pull.
    const auto authority = parse_endpoint(fmt::format("https://{}", rule.login_server()));
    if (!authority || !is_private_host(authority->host)) return {};
    const bool declared = std::any_of(upstreams.begin(), upstreams.end(), [&](const UpstreamConfig& upstream) {
        return upstream.login_server == rule.login_server();
    });
    if (declared) return {};
    return fmt::format(
        "cache rule \"{}\": its source {} is a private address; add an [[upstream]] for it with allow_private = true",
        rule.name(), rule.login_server());
}

const CredentialSet* Config::find_credential_set(std::string_view name) const noexcept {
    for (const CredentialSet& set : credential_sets) {
        if (set.name == name) return &set;
    }
    return nullptr;
}

}  // namespace entrepot
