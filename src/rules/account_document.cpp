#include "entrepot/rules/account_document.h"

#include "rules/document_reader.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace entrepot {
namespace {

const std::string every_repository = "**";

std::optional<AccountKind> parse_kind(std::string_view text) noexcept {
    for (auto kind : {AccountKind::password, AccountKind::token}) {
        if (text == name_of(kind)) return kind;
    }
    return std::nullopt;
}

void read_repositories(DocumentReader& reader, AccountChange& change) {
    if (!reader.given("repositories")) return;
    std::vector<std::string> texts;
    reader.texts("repositories", repository_patterns_max, texts);
    auto patterns = parse_repository_patterns(texts.empty() ? std::vector{every_repository} : texts);
    if (patterns) change.repositories = *std::move(patterns);
    else reader.refuse("repositories", fmt::format("holds a pattern that cannot be: {}", patterns.error()));
}

void read_expiry(DocumentReader& reader, AccountChange& change) {
    if (!reader.given("expires")) return;
    std::int64_t expires = 0;
    reader.parsed("expires", expires, std::int64_t{0}, parse_rfc3339, "a time like \"2027-01-31T12:00:00Z\", or null");
    change.expires = expires;
}

void read_kind(DocumentReader& reader, AccountChange& change) {
    if (!reader.given("kind")) return;
    auto kind = AccountKind::password;
    reader.parsed("kind", kind, kind, parse_kind, "\"password\" or \"token\"");
    change.kind = kind;
}

JsonDocument shown_part(const Account& account) {
    JsonDocument document;
    document["kind"] = name_of(account.kind);
    document["repositories"] = JsonDocument::array();
    for (auto& pattern : account.repositories) document["repositories"].push_back(pattern.text());
    document["creationDate"] = account.created == 0 ? JsonDocument() : JsonDocument(rfc3339(account.created));
    document["expires"] = account.expires == 0 ? JsonDocument() : JsonDocument(rfc3339(account.expires));
    return document;
}

}  // namespace

Result<AccountChange, std::string> read_account_change(const nlohmann::json& document) {
    std::string problem;
    AccountChange change;
    DocumentReader reader(document, "", problem);
    read_kind(reader, change);
    reader.text("password", change.password);
    if (auto fault = fault_of_password(change.password); !change.password.empty() && !fault.empty())
        reader.refuse("password", fault);
    if (!change.password.empty() && change.kind == AccountKind::token)
        reader.refuse("password", "cannot be chosen for a token: its secret is made here and answered once");
    read_repositories(reader, change);
    read_expiry(reader, change);
    reader.refuse_unknown_members();
    if (!problem.empty()) return problem;
    return change;
}

JsonDocument account_document(const Account& account) {
    JsonDocument document;
    document["name"] = account.name;
    document.update(shown_part(account));
    document["etag"] = etag_of(account);
    return document;
}

std::string etag_of(const Account& account) {
    auto text = stored_text(account);
    return fmt::format("{:016x}",
                       XXH3_64bits_withSeed(text.data(), text.size(), XXH3_64bits(account.name.data(), account.name.size())));
}

std::string stored_text(const Account& account) {
    auto document = shown_part(account);
    document["hash"] = account.hash;
    return document.dump();
}

Result<Account, std::string> account_from_stored(std::string_view name, std::string_view text) {
    auto document = nlohmann::json::parse(text, nullptr, false);
    std::string problem, created;
    AccountChange stored;
    Account account;
    account.name = name;
    DocumentReader reader(document, "", problem);
    read_kind(reader, stored);
    read_repositories(reader, stored);
    read_expiry(reader, stored);
    reader.text("creationDate", created);
    (void)reader.required_text("hash", account.hash);
    reader.refuse_unknown_members();
    if (!problem.empty()) return problem;
    account.kind = stored.kind.value_or(AccountKind::password);
    account.repositories = stored.repositories.value_or(std::vector<RepositoryPattern>());
    account.created = parse_rfc3339(created).value_or(0);
    account.expires = stored.expires.value_or(0);
    if (auto fault = fault_of(account); !fault.empty()) return fault;
    return account;
}

}  // namespace entrepot
