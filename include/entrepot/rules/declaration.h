#pragma once
// Rules and credential sets as one file: what `entrepot apply` reads and `entrepot export` writes. TOML has the tables of the
// configuration file, [[cache_rule]] and [[credential_set]], so that entries can be moved between the two; JSON is what the API takes
// and gives. Pure. What rules mean together is judged by the server, which knows the others.

#include "entrepot/base/bytes.h"
#include "entrepot/rules/rule_document.h"

#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

struct Declaration {
    static constexpr std::size_t bytes_max = 64 * MiB;  ///< of a file, as of the configuration file

    std::vector<RuleText> rules;
    std::vector<CredentialSet> credential_sets;
};

/// The error is one line, `<file>:<line>: <reason>`, and never shows a secret.
Result<Declaration, std::string> parse_declaration(std::string_view text, std::string_view file);

/// {"cacheRules": [...], "credentialSets": [...]}, each entry with its name and what a client may write.
JsonDocument declaration_document(const Declaration& declaration);
/// Of such a document, also with the members that the server adds. The error names the entry.
Result<Declaration, std::string> declaration_from_document(const JsonDocument& document);

/// What is as by default is left out; parse_declaration() yields the same again.
std::string declaration_toml(const Declaration& declaration);

}  // namespace entrepot
