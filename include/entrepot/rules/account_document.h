#pragma once
// Accounts as JSON documents, beside rule_document.h: what the API takes and gives, and what the ledger keeps. Pure. The secret goes in and never comes
// out: no document but the ledger's holds a hash, and none holds a password.

#include "entrepot/rules/account.h"
#include "entrepot/rules/rule_document.h"

#include <optional>

namespace entrepot {

/// What a client asks to be made of an account. Wipe `password` when it was used.
struct AccountChange {
    std::optional<AccountKind> kind;
    std::string password;  ///< empty: not given
    std::optional<std::vector<RepositoryPattern>> repositories;
    std::optional<std::int64_t> expires;  ///< wall seconds; 0: never
};

/// Reads `{"kind","password","repositories","expires"}`; null stands for the default. The error is one sentence without the account's name and never
/// repeats a password.
Result<AccountChange, std::string> read_account_change(const nlohmann::json& document);

/// Everything that may be shown, the etag last.
JsonDocument account_document(const Account& account);
std::string etag_of(const Account& account);

/// The text that the ledger keeps, with the hash, and back.
std::string stored_text(const Account& account);
Result<Account, std::string> account_from_stored(std::string_view name, std::string_view text);

}  // namespace entrepot
