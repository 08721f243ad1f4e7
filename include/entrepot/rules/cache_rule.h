#pragma once
// A cache rule maps a source (repositories of an upstream) to a target (repositories of ours): `docker.io/*` => `hub/*`.
// Immutable once parsed. Both sides are static (one repository) or both end in the wildcard `*`, which stands for one or
// more path components and occurs nowhere else.
//
// Docker Hub's official images live under `library/`, and people leave it out. Where one repository is named we write it
// in: `docker.io/ubuntu` is `docker.io/library/ubuntu`. `docker.io/*` stays, since it covers everybody's images; a remainder
// of a single component gets `library/` at look-up (`docker.io/alpine` could not work otherwise). `docker.io/library/*` is
// taken by its word: `pulumi/pulumi-dotnet` through it is `library/pulumi/pulumi-dotnet`, which does not exist, and guessing
// another repository than the rule allows would be worse than the refusal (RuleTable::warnings() says so when it is loaded).

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/rules/platform.h"
#include "entrepot/rules/repository_pattern.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

enum class RuleOrigin : std::uint8_t {
    file,     ///< from the configuration file; the API cannot change it
    api,      ///< made at run time, kept in the ledger
    builtin,  ///< one of the default rules
};
std::string_view name_of(RuleOrigin origin) noexcept;  ///< "file", "api", "default"

/// Letters, digits and '-', up to 50. Rules made through the API have at least 5, as in Azure's artifact cache, so that scripts
/// move between the two; the file's author may be shorter ("hub").
bool is_rule_name(std::string_view name, RuleOrigin origin) noexcept;
constexpr std::size_t rule_name_bytes_max = 50;

/// For how long after its last check an old tag is still served although upstream cannot or will not say what it points to now.
/// Zero: not at all.
struct StalePolicy {
    static constexpr Duration forever = Duration::max();

    Duration network = forever;       ///< no answer: name, connection, TLS, time-out, or one that cannot be read
    Duration server_error = forever;  ///< 5xx
    Duration rate_limit = forever;    ///< 429, and our own care for what is left of a rate limit
    Duration denied{0};               ///< 401, 403
    Duration missing{0};              ///< 404

    friend bool operator==(const StalePolicy&, const StalePolicy&) = default;
};

/// Which tags a rule serves: everything that is not empty must hold. Digests pass.
struct TagFilter {
    std::string equals, starts_with, ends_with, contains;

    bool empty() const noexcept { return equals.empty() && starts_with.empty() && ends_with.empty() && contains.empty(); }
    bool admits(std::string_view tag) const noexcept;
    friend bool operator==(const TagFilter&, const TagFilter&) = default;
};

/// A rule as somebody wrote it, and what it asks for besides the mapping.
struct RuleText {
    std::string name;
    std::string source;              ///< "docker.io/library/ubuntu", "docker.io/*"
    std::string target;              ///< "ubuntu", "hub/*", "*"
    std::string credential_set;      ///< name of one; empty: anonymous
    std::string identity;            ///< whose token the upstream gets in place of a credential set; empty: nobody's
    Duration tag_ttl = seconds(60);  ///< how long a tag is believed without asking upstream
    StalePolicy stale;
    TagFilter tags;
    std::vector<std::string> platforms;    ///< "linux/amd64", "linux/arm64/v8"; empty: all
    std::vector<std::string> allow, deny;  ///< patterns of source repositories; deny wins; an empty allow allows all
    /// Account names, or "anonymous" alone. Empty: everybody, unless the rule has credentials or an identity; then nobody, because
    /// whom a private upstream may be shown to is never guessed.
    std::vector<std::string> pull;
    RuleOrigin origin = RuleOrigin::file;
    std::int64_t created = 0;  ///< wall seconds; 0: unknown, as of rules from the file

    bool private_source() const noexcept { return !credential_set.empty() || !identity.empty(); }
    bool anonymous() const noexcept;  ///< whether everybody may pull
    friend bool operator==(const RuleText&, const RuleText&) = default;
};
constexpr std::string_view anonymous_puller = "anonymous";

// Bounds of what one rule may list; a longer list is refused.
constexpr std::size_t rule_platforms_max = 64;
constexpr std::size_t rule_patterns_max = 64;  ///< of allow, and of deny
constexpr std::size_t rule_pullers_max = 1000;
constexpr std::size_t identity_bytes_max = 1024;

/// "linux/amd64" or "linux/arm64/v8": lower case, two or three parts.
bool is_platform(std::string_view text) noexcept;
/// Letters, digits, '-', '_' and '.', at most 128: a name of an account.
bool is_account_name(std::string_view name) noexcept;

class CacheRule {
  public:
    /// Checks and normalises; the message names the rule, the offending text, and what to write instead.
    static Result<CacheRule, std::string> parse(RuleText text);

    const std::string& name() const noexcept { return text_.name; }
    const std::string& source() const noexcept { return text_.source; }  ///< normalised: "docker.io/library/ubuntu"
    const std::string& target() const noexcept { return text_.target; }
    const std::string& credential_set() const noexcept { return text_.credential_set; }
    Duration tag_ttl() const noexcept { return text_.tag_ttl; }
    RuleOrigin origin() const noexcept { return text_.origin; }
    const RuleText& text() const noexcept { return text_; }  ///< normalised; parsing it again yields this rule

    // What the text's lists mean.
    const std::vector<RepositoryPattern>& allow() const noexcept { return allow_; }
    const std::vector<RepositoryPattern>& deny() const noexcept { return deny_; }
    const std::vector<Platform>& platforms() const noexcept { return platforms_; }
    /// Equal for rules that judge a tag's age alike: what one remembers of a tag the other may use.
    std::uint64_t freshness() const noexcept { return freshness_; }

    bool wildcard() const noexcept { return wildcard_; }
    std::string_view login_server() const noexcept { return std::string_view(text_.source).substr(0, login_server_bytes_); }
    /// A static rule's repository upstream; a wildcard's prefix with its last '/' ("" when all of the login server is covered).
    std::string_view source_path() const noexcept {
        return std::string_view(text_.source).substr(login_server_bytes_ + 1u, source_path_bytes_);
    }
    /// The same on our side: "ubuntu", "hub/", or "" for the target `*`.
    std::string_view target_path() const noexcept { return std::string_view(text_.target).substr(0, target_path_bytes_); }

  private:
    CacheRule() = default;

    RuleText text_;
    std::vector<RepositoryPattern> allow_, deny_;
    std::vector<Platform> platforms_;
    std::uint64_t freshness_ = 0;
    std::uint16_t login_server_bytes_ = 0;
    std::uint16_t source_path_bytes_ = 0;
    std::uint16_t target_path_bytes_ = 0;
    bool wildcard_ = false;
};

/// `docker.io/* => docker.io/*` and so on for each of default_login_servers(), anonymous.
std::vector<RuleText> default_rules();

}  // namespace entrepot
