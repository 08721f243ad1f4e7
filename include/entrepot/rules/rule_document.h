#pragma once
// Rules and credential sets as JSON documents: what the API takes and gives, what the ledger keeps, what `entrepot apply` sends. Pure.
// Names and their meaning are those of the resources of Azure's artifact cache where it has them (sourceRepository,
// targetRepository, credentialSetResourceId, authCredentials, creationDate, provisioningState), so that scripts can be moved.
//
// Reading is strict: an unknown member or one of another type is refused by name. Members that only the server writes are refused too,
// unless the document is one that it wrote itself (an export, the ledger).

#include "entrepot/rules/credential_set.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace entrepot {

/// Members in the order in which they are written.
using JsonDocument = nlohmann::ordered_json;

/// What a document may hold besides the members that a client may write.
enum class ReadOnlyMembers : std::uint8_t { refused, ignored };

/// Writes the members of `changes` into `rule`; what is not named stays, null stands for the default. The name is not among them.
/// The error is one sentence without the rule's name. What the values mean together is CacheRule::parse's business.
Result<void, std::string> patch_rule(RuleText& rule, const nlohmann::json& changes, ReadOnlyMembers read_only);
/// Likewise; `authCredentials` replaces all pairs. A reference that cannot be read is never shown.
Result<void, std::string> patch_credential_set(CredentialSet& set, const nlohmann::json& changes, ReadOnlyMembers read_only);

/// Everything that can be read, the etag last.
JsonDocument rule_document(const RuleText& rule);
/// `health` by pair; fewer entries than pairs leave the rest unknown.
JsonDocument credential_set_document(const CredentialSet& set, const std::vector<CredentialHealth>& health);

/// What a change would collide with: 16 hex digits that depend on everything a client may write, the name and the time of creation.
std::string etag_of(const RuleText& rule);
std::string etag_of(const CredentialSet& set);

/// The text that the ledger keeps, and back. Reading one of these fails only when another version wrote it or the disk lied.
std::string stored_text(const RuleText& rule);
std::string stored_text(const CredentialSet& set);
Result<RuleText, std::string> rule_from_stored(std::string_view name, std::string_view text);
Result<CredentialSet, std::string> credential_set_from_stored(std::string_view name, std::string_view text);

/// "2026-11-21T15:52:38Z", and back to wall seconds.
std::string rfc3339(std::int64_t wall);
std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept;

}  // namespace entrepot
