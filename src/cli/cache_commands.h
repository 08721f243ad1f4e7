#pragma once
// `entrepot cache create | show | list | update | delete | explain | sync | purge`.

#include "cli/command.h"

namespace entrepot::cli {

void declare_cache_commands(CommandGroup& commands);

/// What a rule is to become; what is not given stays, or is the default.
struct RuleOptions {
    std::string name;
    std::optional<std::string> source, target, credential_set, identity, tag_ttl;
    std::optional<std::string> stale_network, stale_server_error, stale_rate_limit, stale_denied, stale_missing;
    std::optional<std::string> tag_equals, tag_starts_with, tag_ends_with, tag_contains;
    std::optional<std::vector<std::string>> platforms, allow, deny, pull;
    bool remove_credential_set = false, remove_identity = false;
    bool replace = false, dry_run = false;
};

/// The members of the API's document that the options name. "default" stands for null, which resets.
Json rule_changes(const RuleOptions& options);

}  // namespace entrepot::cli
