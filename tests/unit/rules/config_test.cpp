#include "entrepot/rules/config.h"
#include "entrepot/rules/config_difference.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace entrepot;

namespace {

constexpr std::string_view sample = R"(
[server]
listen = ["127.0.0.1:5000"]          # registry protocol
admin  = "127.0.0.1:5001"            # REST, metrics, portal; or "unix:/run/entrepot/admin.sock"
shards = 0                           # 0: one per allowed core
default_login_server = "docker.io"   # what Docker's root-style mirror requests mean
[tls]                                # registry listener; absent: plain HTTP
certificate = "/etc/entrepot/tls.crt"
private_key = "/etc/entrepot/tls.key"
[store]
path     = "/var/lib/entrepot"       # ledger, and the first volume unless volumes are named
volumes  = []
capacity = "80%"                     # of the volumes' file systems, or a size: "500GiB"
[[upstream]]                         # transport of a login server; the public ones need none
login_server  = "docker.io"
endpoints     = ["https://registry-1.docker.io"]
ca_file       = ""
allow_private = false                # may resolve to private or loopback addresses
realms        = []                   # further token realms that may see this upstream's credentials
[[credential_set]]
name = "hub"
login_server = "docker.io"
username = "file:/etc/entrepot/hub.user"   # a secret reference, never a secret
password = "file:/etc/entrepot/hub.pass"
[[cache_rule]]
name = "hub"
source = "docker.io/*"
target = "docker.io/*"
credential_set = "hub"
pull = ["anonymous"]                 # or the names of accounts
tag_ttl = "60s"
)";

Config parsed(std::string_view text) {
    auto config = Config::parse(text, "e.toml");
    if (!config) FAIL(config.error());
    return std::move(*config);
}
std::string refusal_of(std::string_view text) {
    const auto config = Config::parse(text, "e.toml");
    return config ? "none" : config.error();
}

}  // namespace

TEST_CASE("config: the sample of the manual says what it says") {
    const Config config = parsed(sample);
    REQUIRE(config.server.listen.size() == 1);
    CHECK(config.server.listen[0] == ListenAddress{.host = "127.0.0.1", .port = 5000});
    CHECK(config.server.admin == std::vector<ListenAddress>{{.host = "127.0.0.1", .port = 5001}});
    CHECK(config.server.admin_given);
    CHECK(config.server.default_login_server == "docker.io");
    CHECK(config.server.log_level == Level::info);
    REQUIRE(config.tls);
    CHECK(config.tls->certificate == "/etc/entrepot/tls.crt");
    CHECK(config.tls->private_key == "/etc/entrepot/tls.key");
    CHECK(config.store.path == "/var/lib/entrepot");
    CHECK(config.store.volumes.empty());
    CHECK(config.store.capacity.percent == 80u);
    CHECK(config.store.scrub == std::chrono::days(30));
    REQUIRE(config.upstreams.size() == 1);
    REQUIRE(config.upstreams[0].endpoints.size() == 1);
    CHECK(config.upstreams[0].endpoints[0].url() == "https://registry-1.docker.io");
    REQUIRE(config.upstreams[0].realms.size() == 1);  // known without being written
    CHECK(config.upstreams[0].realms[0].url() == "https://auth.docker.io");
    REQUIRE(config.find_credential_set("hub"));
    CHECK(config.find_credential_set("hub")->primary.username == SecretReference{SecretKind::file, "/etc/entrepot/hub.user"});
    CHECK_FALSE(config.find_credential_set("other"));
    REQUIRE(config.rules.size() == 1);
    CHECK(config.rules[0].credential_set == "hub");
    CHECK(config.rules[0].tag_ttl == seconds(60));
    CHECK(config.rules[0].origin == RuleOrigin::file);
    CHECK(config.warnings.empty());
}

TEST_CASE("config: nothing at all is the default, which maps the public registries") {
    const Config config = parsed("");
    CHECK(config.server.listen[0] == ListenAddress{.host = "127.0.0.1", .port = 5000});
    REQUIRE(config.server.admin.size() == 2);
    CHECK(config.server.admin[0] == ListenAddress{.host = "127.0.0.1", .port = 5001});
    CHECK(config.server.admin[1].unix_path == "/run/entrepot/admin.sock");
    CHECK_FALSE(config.server.admin_given);
    CHECK_FALSE(config.tls);
    CHECK(config.store.capacity.percent == 80u);
    CHECK(config.rules == default_rules());
    CHECK(config.rule_options.rules_max == 100'000);
    CHECK(RuleTable::build(config.rules, config.rule_options));
}

TEST_CASE("config: everything that can be written") {
    const Config config = parsed(R"(
[server]
listen = ["0.0.0.0:80", "[::]:80", "127.0.0.1:0", "127.0.0.1:0"]
admin = ["unix:/run/entrepot/admin.sock", "127.0.0.1:0", "127.0.0.1:0"]
admin_group = "entrepot-admin"
shards = 4
default_login_server = ""
log_level = "debug"
rules_max = 2
strict_overlap = true
[store]
path = "/data"
volumes = ["/nvme0", "/nvme1"]
capacity = "1.5GiB"
scrub = "7d"
[[upstream]]
login_server = "registry.test:5000"
endpoints = ["http://127.0.0.1:5000", "https://[::1]/"]
ca_file = "/etc/ca.pem"
allow_private = true
realms = ["auth.test:8443", "http://auth2.test/token?x=y"]
[[upstream]]
login_server = "registry.gitlab.com"
[[cache_rule]]
name = "a"
source = "index.docker.io/ubuntu"
target = "ubuntu"
tag_ttl = "0s"
stale = { denied = "24h", missing = "forever", network = "never" }
tags = { starts_with = "2", ends_with = "-slim" }
platforms = ["linux/amd64", "linux/arm64/v8"]
allow = ["library/*"]
deny = ["library/secret"]
pull = ["alice", "ci-1"]
)");
    REQUIRE(config.server.listen.size() == 4);
    CHECK(config.server.listen[1] == ListenAddress{.host = "::", .port = 80});
    REQUIRE(config.server.admin.size() == 3);
    CHECK(config.server.admin[0].unix_path == "/run/entrepot/admin.sock");
    CHECK(config.server.admin_group == "entrepot-admin");
    CHECK(config.server.shards == 4);
    CHECK(config.server.log_level == Level::debug);
    CHECK(config.rule_options.rules_max == 2);
    CHECK(config.rule_options.strict_overlap);
    CHECK(config.rule_options.default_login_server.empty());
    CHECK(config.store.volumes == std::vector<std::string>{"/nvme0", "/nvme1"});
    CHECK_FALSE(config.store.capacity.percent);
    CHECK(config.store.capacity.bytes == GiB + 512 * MiB);
    CHECK(config.store.scrub == std::chrono::days(7));
    REQUIRE(config.upstreams.size() == 2);
    CHECK(config.upstreams[0].endpoints[0] == Endpoint{.tls = false, .host = "127.0.0.1", .port = 5000});
    CHECK(config.upstreams[0].endpoints[1] == Endpoint{.tls = true, .host = "::1", .port = 443});
    CHECK(config.upstreams[0].realms[0].url() == "https://auth.test:8443");
    CHECK(config.upstreams[0].realms[1].url() == "http://auth2.test");
    CHECK(config.upstreams[1].endpoints[0].url() == "https://registry.gitlab.com");
    CHECK(config.upstreams[1].realms[0].url() == "https://gitlab.com");
    CHECK(config.rules[0].source == "docker.io/library/ubuntu");
    CHECK(config.rules[0].stale ==
          StalePolicy{.network = Duration(0), .denied = std::chrono::hours(24), .missing = StalePolicy::forever});
    CHECK(config.rules[0].tags == TagFilter{.starts_with = "2", .ends_with = "-slim"});
    CHECK(config.rules[0].platforms == std::vector<std::string>{"linux/amd64", "linux/arm64/v8"});
    CHECK(config.rules[0].allow == std::vector<std::string>{"library/*"});
    CHECK(config.rules[0].deny == std::vector<std::string>{"library/secret"});
    CHECK(config.rules[0].pull == std::vector<std::string>{"alice", "ci-1"});
    CHECK(config.upstream_of("registry.test:5000").ca_file == "/etc/ca.pem");
    CHECK(config.upstream_of("registry-1.docker.io").login_server == "docker.io");
    CHECK(config.upstream_of("docker.io").endpoints[0].url() == "https://registry-1.docker.io");
    CHECK(config.upstream_of("other.test:5000").endpoints[0].url() == "https://other.test:5000");
}

TEST_CASE("config: what a running server cannot take over is named") {
    const Config running = parsed("[[upstream]]\nlogin_server = \"quay.io\"\n");
    CHECK(waits_for_restart(running, running).empty());
    const Config next = parsed(
        "[server]\nlisten = [\"127.0.0.1:5002\"]\nshards = 3\nlog_level = \"debug\"\n[tls]\ncertificate = \"/c\"\nprivate_key = "
        "\"/k\"\n[store]\npath = \"/elsewhere\"\n[[upstream]]\nlogin_server = \"quay.io\"\nendpoints = "
        "[\"https://mirror.test\"]\n[[upstream]]\nlogin_server = \"new.test\"\n");
    CHECK(waits_for_restart(running, next) ==
          std::vector<std::string>{"[server] listen", "[server] shards", "[tls]", "[store]", "[[upstream]] quay.io"});
}

TEST_CASE("config: the default rules can be switched off, and Docker Hub without credentials") {
    CHECK(parsed("[server]\ndefault_rules = false\n").rules.empty());
    const Config config = parsed("[server]\ndocker_hub_anonymous = false\n");
    CHECK(config.rules.size() == default_rules().size() - 1);
    for (const RuleText& rule : config.rules) CHECK_FALSE(rule.source.starts_with("docker.io/"));
    const auto refused = Config::parse(
        "[server]\ndocker_hub_anonymous = false\n[[cache_rule]]\nname = \"hub\"\nsource = "
        "\"docker.io/*\"\ntarget = \"hub/*\"\n",
        "e.toml");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().find("e.toml:3: cache rule \"hub\": Docker Hub without credentials is switched off") == 0);
}

TEST_CASE("config: each refusal says where and why") {
    struct {
        std::string text, says;
    } const rows[] = {
        // syntax
        {"[server\n", "e.toml:1: "},
        {"x = 1\nx = 2\n", "e.toml:2: "},
        {"\n\n[server]\nshards = 08\n", "e.toml:4: "},
        {"[server]\na = \"\xff\"\n", "e.toml:2: "},
        // keys and types
        {"[server]\nlsten = []\n",
         "e.toml:2: [server] has no key \"lsten\"; it has listen, admin, admin_group, shards, default_login_server, public_url, log_level, access_log, default_rules, docker_hub_anonymous, rules_max, strict_overlap"},
        {"\n[sever]\n",
         "e.toml:2: the file has no key \"sever\"; it has server, tls, store, vault, identity, upstream, credential_set, cache_rule"},
        {"server = 1\n", "e.toml:1: server must be a table, [server]"},
        {"[upstream]\n", "e.toml:1: upstream must be tables, [[upstream]]"},
        {"cache_rule = [1]\n", "e.toml:1: cache_rule must be tables, [[cache_rule]]"},
        {"[server]\nlisten = \"127.0.0.1:5000\"\n", "e.toml:2: [server] listen must be a list in brackets"},
        {"[server]\nlisten = [5000]\n", "e.toml:2: [server] listen must hold texts in quotes"},
        {"[server]\nlisten = [\n]\n", "e.toml:2: [server] listen must name at least one address"},
        {"[server]\nadmin = 5001\n", "e.toml:2: [server] admin must be a text in quotes"},
        {"[server]\nshards = \"4\"\n", "e.toml:2: [server] shards must be a whole number from 0 to 1024"},
        {"[server]\nshards = -1\n", "whole number from 0 to 1024"},
        {"[server]\nshards = 1.0\n", "whole number from 0 to 1024"},
        {"[server]\nshards = 1025\n", "whole number from 0 to 1024"},
        {"[server]\nrules_max = 1000001\n", "whole number from 0 to 1000000"},
        {"[server]\nstrict_overlap = \"yes\"\n", "e.toml:2: [server] strict_overlap must be true or false"},
        {"[server]\nlog_level = \"loud\"\n",
         "e.toml:2: [server] log_level must be \"debug\", \"info\", \"warning\" or \"error\""},
        {"[server]\ndefault_login_server = \"Docker.io\"\n",
         "e.toml:2: [server] default_login_server is \"Docker.io\", which is no login server"},
        // addresses
        {"[server]\nlisten = [\"localhost:5000\"]\n",
         "e.toml:2: [server] listen has \"localhost:5000\", which must be an IP address and a port"},
        {"[server]\nlisten = [\"127.0.0.1\"]\n", "which has no port"},
        {"[server]\nlisten = [\"127.0.0.1:65536\"]\n", "which has no valid port"},
        {"[server]\nlisten = [\"127.0.0.1:\"]\n", "which has no valid port"},
        {"[server]\nlisten = [\"127.0.0.1:+5\"]\n", "which has no valid port"},
        {"[server]\nlisten = [\"::1:5000\"]\n", "must be an IP address and a port"},
        {"[server]\nlisten = [\"[127.0.0.1]:5000\"]\n", "must be an IP address and a port"},
        {"[server]\nlisten = [\"unix:/run/x\"]\n", "registry clients speak TCP"},
        {"[server]\nlisten = [\"1.1.1.1:5\", \"1.1.1.1:5\"]\n", "listen has 1.1.1.1:5 twice"},
        {"[server]\nadmin = []\n", "admin must name at least one address"},
        {"[server]\nadmin = [5001]\n", "admin"},
        {"[server]\nadmin = [\"127.0.0.1:5001\", \"127.0.0.1:5001\"]\n", "admin has 127.0.0.1:5001 twice"},
        {"[server]\nadmin = [\"127.0.0.1:5001\", \"127.0.0.1:5000\"]\n", "admin must not be one of the listen addresses"},
        {"[server]\nadmin = [\"a:1\",\"b:1\",\"c:1\",\"d:1\",\"e:1\",\"f:1\",\"g:1\",\"h:1\",\"i:1\"]\n",
         "admin has more than 8 entries"},
        {"[server]\nadmin_group = \"a b\"\n", "admin_group must be the name of a group"},
        {"[server]\nlisten = [\"127.0.0.1:5001\"]\n", "admin must not be one of the listen addresses"},
        {"[server]\nadmin = \"127.0.0.1:5000\"\n", "admin must not be one of the listen addresses"},
        {"[server]\nadmin = \"unix:run/x\"\n", "absolute path of at most 107 bytes"},
        {"[server]\nadmin = \"unix:/" + std::string(107, 'x') + "\"\n", "absolute path of at most 107 bytes"},
        // tls and store
        {"\n[tls]\ncertificate = \"/a\"\n", "e.toml:2: [tls] needs both certificate and private_key"},
        {"[tls]\ncertificate = \"a\"\nprivate_key = \"/b\"\n", "e.toml:2: [tls] certificate is \"a\", which is no absolute path"},
        {"[store]\npath = \"var\"\n", "e.toml:2: [store] path is \"var\", which is no absolute path"},
        {"[store]\npath = \"/a\\u0000b\"\n", "is no absolute path"},
        {"[store]\npath = \"/" + std::string(5000, 'x') + "\"\n", "[store] path is too long"},
        {"[store]\nvolumes = [\"/a\", \"/a\"]\n", "[store] volumes has \"/a\" twice"},
        {"[store]\nvolumes = [\"/a\", \"b\"]\n", "[store] volumes is \"b\", which is no absolute path"},
        {"[store]\ncapacity = 80\n", "[store] capacity must be a text in quotes"},
        {"[store]\ncapacity = \"80\xc2\xa0%\"\n", "neither a share (\"80%\") nor a size"},
        {"[store]\ncapacity = \"0%\"\n", "neither a share"},
        {"[store]\nscrub = \"999ms\"\n", "neither \"never\" nor a duration"},
        {"[store]\nscrub = \"0s\"\n", "neither \"never\" nor a duration"},
        {"[store]\nscrub = \"always\"\n", "neither \"never\" nor a duration"},
        {"[store]\nscrub = 30\n", "[store] scrub must be a text in quotes"},
        {"[store]\ncapacity = \"101%\"\n", "neither a share"},
        {"[store]\ncapacity = \"%\"\n", "neither a share"},
        {"[store]\ncapacity = \"5XB\"\n", "neither a share"},
        {"[store]\ncapacity = \"0\"\n", "neither a share"},
        {"[store]\ncapacity = \"\"\n", "neither a share"},
        // upstreams
        {"[[upstream]]\n", "e.toml:1: [[upstream]] login_server is missing"},
        {"[[upstream]]\nlogin_server = \"a/b\"\n", "e.toml:2: [[upstream]] login_server is \"a/b\", which is no login server"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"a.b\"]\n",
         "e.toml:3: [[upstream]] endpoints has \"a.b\", which is not an http:// or https:// URL"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"ftp://a.b\"]\n", "is not an http:// or https:// URL"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"https://a.b/v2/\"]\n", "holds more than scheme, host and port"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"https://u:p@a.b\"]\n", "holds a user name"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"https://a.b:0\"]\n", "does not name a valid host and port"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"https://\"]\n", "does not name a valid host and port"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [\"http://127.0.0.1:5000\"]\n",
         "e.toml:3: [[upstream]] endpoints has http://127.0.0.1:5000, on a loopback or private address, which needs allow_private = true"},
        {"[[upstream]]\nlogin_server = \"localhost:5000\"\n",
         "endpoints has https://localhost:5000, on a loopback or private address"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nrealms = [\"10.0.0.1\"]\n",
         "realms has https://10.0.0.1, on a loopback or private address"},
        {"[[upstream]]\nlogin_server = \"a.b\"\nrealms = [\"a b\"]\n",
         "realms has \"a b\", which does not name a valid host and port"},
        {"[[upstream]]\nlogin_server = \"docker.io\"\n[[upstream]]\nlogin_server = \"index.docker.io\"\n",
         "e.toml:4: [[upstream]] login_server \"docker.io\" has an [[upstream]] already"},
        {"[[upstream]]\nlogin_server = \"a.b\"\ninsecure = true\n", "e.toml:3: [[upstream]] has no key \"insecure\""},
        // credential sets
        {"[[credential_set]]\nname = \"a b\"\n", "e.toml:2: [[credential_set]] name must be 1 to 50 letters, digits or '-'"},
        {"[[credential_set]]\nname = \"a\"\n", "e.toml:1: [[credential_set]] login_server is missing"},
        {"[[credential_set]]\nname = \"a\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\n",
         "[[credential_set]] password is missing"},
        {"[[credential_set]]\nname = \"a\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\npassword = \"env:1\"\n",
         "e.toml:5: [[credential_set]] password must have the name of a variable"},
        {"[[credential_set]]\nname = \"a\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\npassword = \"env:P\"\n"
         "[[credential_set]]\nname = \"a\"\nlogin_server = \"a.c\"\nusername = \"env:U\"\npassword = \"env:P\"\n",
         "e.toml:7: [[credential_set]] name \"a\" belongs to another credential set already"},
        // rules
        {"[[cache_rule]]\nsource = \"docker.io/*\"\n", "e.toml:1: [[cache_rule]] name is missing"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"a\"\n",
         "e.toml:1: cache rule \"a\": target \"a\" and source \"docker.io/*\" must both end in '*'"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\ntag_ttl = 60\n",
         "e.toml:5: [[cache_rule]] tag_ttl must be a text in quotes"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\ntag_ttl = \"60\"\n",
         "e.toml:5: [[cache_rule]] tag_ttl is \"60\", which is no duration"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\norigin = \"api\"\n",
         "e.toml:5: [[cache_rule]] has no key \"origin\""},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\n\n[[cache_rule]]\nname = \"b\"\nsource = \"quay.io/*\"\ntarget = \"q/*\"\n",
         "e.toml:6: cache rule \"b\" (quay.io/* => q/*) lies inside the wildcard of cache rule \"a\" (docker.io/* => *); wildcards must not overlap: "
         "choose another target for one of them, or name single repositories (line 1)"},
        {"[server]\nrules_max = 0\n[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\n",
         "e.toml:3: 1 cache rules are more than the limit of 0"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\ncredential_set = \"c\"\n",
         "e.toml:1: cache rule \"a\": there is no credential set \"c\""},
        {"[[credential_set]]\nname = \"c\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\npassword = \"env:P\"\n"
         "[[cache_rule]]\nname = \"a\"\nsource = \"docker.io/*\"\ntarget = \"*\"\ncredential_set = \"c\"\n",
         "e.toml:6: cache rule \"a\": its source is on docker.io, but credential set \"c\" belongs to a.b"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.text);
        const std::string refusal = refusal_of(row.text);
        CHECK_MESSAGE(refusal.find(row.says) != std::string::npos, refusal);
        CHECK(refusal.find('\n') == std::string::npos);
    }
}

TEST_CASE("config: a secret written in place of its reference is refused and never repeated") {
    for (const char* secret : {"hunter2", "https://vault.example/hunter2", "vault:hunter2", "file:hunter2", "systemd:../hunter2",
                               "env:hunter-2", "env:", "systemd:", "file:", ""}) {
        const std::string refusal = refusal_of(fmt::format(
            "[[credential_set]]\nname = \"a\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\npassword = \"{}\"\n", secret));
        CAPTURE(refusal);
        CHECK(refusal.starts_with("e.toml:5: [[credential_set]] password must "));
        CHECK(refusal.find("hunter") == std::string::npos);
    }
}

TEST_CASE("config: a rule with credentials that does not say who may use them is worth a warning") {
    const std::string set =
        "[[credential_set]]\nname = \"corp\"\nlogin_server = \"a.b\"\nusername = \"env:U\"\npassword = \"env:P\"\n";
    const std::string rule = "[[cache_rule]]\nname = \"mine\"\nsource = \"a.b/*\"\ntarget = \"mine/*\"\n";
    const Config unsaid = parsed(set + rule + "credential_set = \"corp\"\n");
    REQUIRE(unsaid.warnings.size() == 1);
    CHECK(unsaid.warnings[0].starts_with("cache rule \"mine\" has credentials and does not say who may use them"));
    CHECK_FALSE(unsaid.rules[0].anonymous());
    CHECK(parsed(set + rule + "credential_set = \"corp\"\npull = [\"anonymous\"]\n").warnings.empty());
    CHECK(parsed(set + rule + "credential_set = \"corp\"\npull = [\"alice\"]\n").warnings.empty());
    CHECK(parsed(rule).warnings.empty());
}

TEST_CASE("config: the public URL is a scheme, a host and perhaps a port") {
    CHECK(parsed("").server.access_log.empty());
    CHECK(parsed("[server]\naccess_log = \"/var/log/entrepot/access.log\"\n").server.access_log ==
          "/var/log/entrepot/access.log");
    CHECK(refusal_of("[server]\naccess_log = \"access.log\"\n").starts_with("e.toml:2: "));
    CHECK(parsed("").server.public_url.empty());
    CHECK(parsed("[server]\npublic_url = \"https://cache.example\"\n").server.public_url == "https://cache.example");
    CHECK(parsed("[server]\npublic_url = \"http://cache.example:5000\"\n").server.public_url == "http://cache.example:5000");
    for (const std::string url :
         {"cache.example", "https://cache.example/v2/", "ftp://cache.example", "https://user@cache.example", "https://a\\\"b"}) {
        CAPTURE(url);
        CHECK(refusal_of("[server]\npublic_url = \"" + url + "\"\n").starts_with("e.toml:2: "));
    }
}

TEST_CASE("config: unprotected credentials are worth a warning") {
    const Config config = parsed(R"(
[[upstream]]
login_server = "a.b"
endpoints = ["http://a.b:8080", "https://a.b"]
[[credential_set]]
name = "c"
login_server = "a.b"
username = "env:U"
password = "systemd:p"
)");
    REQUIRE(config.warnings.size() == 1);
    CHECK(config.warnings[0] == "credential set \"c\" travels unprotected to http://a.b:8080");
}

TEST_CASE("config: bounds of lists and of the file") {
    std::string list;
    for (std::size_t i = 0; i < endpoints_max + 1; ++i) list += fmt::format("\"https://h{}.test\",", i);
    const std::string start = "[[upstream]]\nlogin_server = \"a.b\"\nendpoints = [";
    CHECK(refusal_of(start + list + "]\n") == "e.toml:3: [[upstream]] endpoints has more than 16 entries");
    CHECK(refusal_of(start + list.substr(0, list.rfind("\"https")) + "]\n") == "none");
    CHECK(refusal_of("#" + std::string(Config::bytes_max, 'x')) == "e.toml: is longer than 64 MiB");
    CHECK(refusal_of("a = " + std::string(8000, '[')).starts_with("e.toml:1: "));
    std::string dotted = "a";
    while (dotted.size() < Config::line_bytes_max - 1) dotted += ".a";
    CHECK(refusal_of("\n" + dotted + "=") != "none");
    CHECK(refusal_of("\n" + dotted + " = 1") == "e.toml:2: the line is longer than 8 KiB");
    dotted.resize(dotted.size() - 4);
    CHECK(refusal_of(dotted + "=1").find("has no key \"a\"") != std::string::npos);
}

TEST_CASE("secret reference: comes out as it went in") {
    for (const char* text :
         {"file:/a b", "env:HUB_PASSWORD", "systemd:hub.pass", "vault:kv/hub#password", "vault:team-a/kv/x_1/y.z#p",
          "https://corp.vault.azure.net/secrets/hub-pass", "https://corp.vault.usgovcloudapi.net/secrets/a",
          "https://c.vault.azure.cn/secrets/hub/0123456789abcdef0123456789abcdef"}) {
        CAPTURE(std::string(text));
        const auto reference = parse_secret_reference(text);
        REQUIRE(reference);
        CHECK(reference->text() == text);
    }
    const auto place = key_vault_place(*parse_secret_reference("https://corp.vault.usgovcloudapi.net/secrets/hub/42"));
    CHECK(place.host == "corp.vault.usgovcloudapi.net");
    CHECK(place.path == "/secrets/hub/42");
    CHECK(place.audience == "https://vault.usgovcloudapi.net");
}

TEST_CASE("secret reference: a vault is not just any host, and a path not just any text") {
    for (const char* text : {"https://vault.azure.net/secrets/a",
                             "https://a.b.vault.azure.net/secrets/a",
                             "https://corp.vault.azure.net.evil.test/secrets/a",
                             "https://evil.test/corp.vault.azure.net/secrets/a",
                             "https://corp.vault.azure.net@evil.test/secrets/a",
                             "https://corp.vault.azure.net:8443/secrets/a",
                             "https://evil.test#.vault.azure.net/secrets/a",
                             "https://-.vault.azure.nets/secrets/a",
                             "https://corp.vault.azure.net/keys/a",
                             "https://corp.vault.azure.net/secrets/",
                             "https://corp.vault.azure.net/secrets/a/",
                             "https://corp.vault.azure.net/secrets/a/b/c",
                             "https://corp.vault.azure.net/secrets/a?api-version=1",
                             "https://corp.vault.azure.net/secrets/../keys",
                             "http://corp.vault.azure.net/secrets/a",
                             "vault:kv#p",
                             "vault:kv/hub",
                             "vault:kv/hub#",
                             "vault:/kv/hub#p",
                             "vault:kv/../sys#p",
                             "vault:kv//hub#p",
                             "vault:kv/hub?x#p",
                             "vault:kv/hub#p#q",
                             "vault:kv/hub#p/q",
                             "vault:#"}) {
        CAPTURE(std::string(text));
        CHECK_FALSE(parse_secret_reference(text));
    }
}

TEST_CASE("config: vault and identity services are where the operator says") {
    const Config config = parsed(R"(
[vault]
address = "https://vault.corp.example:8200"
namespace = "team-a"
approle = { role_id = "r", secret_id = "file:/etc/entrepot/secret-id" }
[identity]
authority = "https://login.microsoftonline.us"
key_vault = "https://10.0.0.8"
key_vault_identity = "arc"
allow_private = true
registries = ["corp.azurecr.io"]
)");
    CHECK(config.services.vault.address == "https://vault.corp.example:8200");
    CHECK(config.services.vault.vault_namespace == "team-a");
    REQUIRE(config.services.vault.approle);
    CHECK(config.services.vault.approle->secret_id.text() == "file:/etc/entrepot/secret-id");
    CHECK(config.services.vault.approle->mount == "approle");
    CHECK(config.services.identity.authority == "https://login.microsoftonline.us");
    CHECK(config.services.identity.metadata == "http://169.254.169.254");
    CHECK(config.services.identity.key_vault == "https://10.0.0.8");
    CHECK(config.services.identity.key_vault_identity.kind == IdentityKind::arc);
    CHECK(config.services.identity.registries == std::vector<std::string>{"corp.azurecr.io"});
    CHECK(config.services.identity.allow_private);
    CHECK_FALSE(parsed("").services.identity.allow_private);
    CHECK(parsed("").services.vault.address.empty());

    struct Row {
        const char* text;
        const char* says;
    };
    const Row rows[] = {
        {"[vault]\ntoken = \"env:T\"\n", "[vault] address is missing"},
        {"[vault]\naddress = \"https://v\"\n", "exactly one of the three"},
        {"[vault]\naddress = \"https://v\"\ntoken = \"env:T\"\njwt = {role = \"r\", file = \"/t\"}\n",
         "exactly one of the three"},
        {"[vault]\naddress = \"https://v/x\"\ntoken = \"env:T\"\n", "[vault] address"},
        {"[vault]\naddress = \"https://v\"\ntoken = \"hunter2\"\n", "[vault] token must be a reference"},
        {"[vault]\naddress = \"https://v\"\ntoken = \"vault:kv/a#t\"\n", "opens the vault"},
        {"[vault]\naddress = \"https://v\"\njwt = {role = \"r\", file = \"t\"}\n", "jwt of [vault] file"},
        {"[vault]\naddress = \"https://v\"\ntoken = \"env:T\"\nnamespace = \"a\\r\\nX: 1\"\n", "[vault] namespace"},
        {"[identity]\nmetadata = \"169.254.169.254\"\n", "[identity] metadata"},
        {"[identity]\narc_tokens = \"tokens\"\n", "[identity] arc_tokens"},
        {"[identity]\nregistries = [\".io\"]\n", "[identity] registries"},
        {"[identity]\nregistries = [\"\"]\n", "[identity] registries"},
        {"[identity]\nkey_vault_identity = \"me\"\n", "[identity] key_vault_identity must be \"system\""},
        {"[identity]\nallow_private = \"yes\"\n", "[identity] allow_private must be true or false"},
        {"[identity]\nimds = \"x\"\n", "has no key \"imds\""},
    };
    for (const auto& row : rows) {
        CAPTURE(std::string(row.text));
        const std::string refusal = refusal_of(row.text);
        CHECK_MESSAGE(refusal.find(row.says) != std::string::npos, refusal);
        CHECK(refusal.find("hunter") == std::string::npos);
    }
}

TEST_CASE("endpoint: private addresses are known by their literals, in every spelling") {
    for (const char* host : {"localhost",
                             "a.localhost",
                             "127.0.0.1",
                             "127.9.9.9",
                             "10.1.2.3",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.168.1.1",
                             "169.254.169.254",
                             "100.64.0.1",
                             "100.127.255.255",
                             "0.0.0.0",
                             "::",
                             "::1",
                             "fc00::1",
                             "fdff::1",
                             "fe80::1",
                             "febf::1",
                             "::ffff:10.0.0.1",
                             "::ffff:7f00:1",
                             "127.1",
                             "0x7f.1",
                             "0177.0.0.1",
                             "10.1.2",
                             "2130706433",
                             "0x7f000001",
                             "0"}) {
        CAPTURE(host);
        CHECK(is_private_host(host));
    }
    for (const char* host :
         {"docker.io", "localhost.example", "8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.1.1", "100.63.0.1", "100.128.0.1",
          "169.253.1.1", "2001:db8::1", "fec0::1", "::ffff:8.8.8.8", "8.8", "134744072", "", "127.0.0.1.example", "127.0.0.1x"}) {
        CAPTURE(host);
        CHECK_FALSE(is_private_host(host));
    }
}
