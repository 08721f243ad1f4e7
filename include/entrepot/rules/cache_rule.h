#pragma once
// A cache rule maps a target (repositories of ours) to a source (repositories of an upstream): `hub/*` => `docker.io/*`.
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

/// A rule as somebody wrote it, and what it asks for besides the mapping.
struct RuleText {
    std::string name;
    std::string source;              ///< "docker.io/library/ubuntu", "docker.io/*"
    std::string target;              ///< "ubuntu", "hub/*", "*"
    std::string credential_set;      ///< name of one; empty: anonymous
    Duration tag_ttl = seconds(60);  ///< how long a tag is believed without asking upstream
    bool stale_if_denied = false;    ///< serve what we have although upstream says 401 or 403
    bool stale_if_missing = false;   ///< serve what we have although upstream says 404
    RuleOrigin origin = RuleOrigin::file;

    friend bool operator==(const RuleText&, const RuleText&) = default;
};

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
    std::uint16_t login_server_bytes_ = 0;
    std::uint16_t source_path_bytes_ = 0;
    std::uint16_t target_path_bytes_ = 0;
    bool wildcard_ = false;
};

/// `docker.io/* => docker.io/*` and so on for each of default_login_servers(), anonymous.
std::vector<RuleText> default_rules();

}  // namespace entrepot
