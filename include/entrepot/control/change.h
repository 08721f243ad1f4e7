#pragma once
// What somebody wants changed, and what came of it. A batch is true as a whole or not at all.

#include "entrepot/rules/account_document.h"

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace entrepot {

/// Why a change was not made; the message is one line: what, why, what to do.
struct Refusal {
    enum class Kind : std::uint8_t {
        invalid,    ///< the values themselves
        not_found,  ///< nothing of that name
        conflict,   ///< with what is there: a name, a target, a user of what would go
        changed,    ///< since the caller looked: its etag is not the present one
        read_only,  ///< from the configuration file, or a default
        busy,       ///< too many changes wait
        storage,    ///< the ledger could not keep it; nothing has changed
    };
    Kind kind = Kind::invalid;
    std::string code;  ///< one word for scripts: "RuleTargetTaken"
    std::string message;
};

/// What must hold of the present value for a change to be made.
struct Precondition {
    bool must_not_exist = false;
    bool must_exist = false;
    std::string etag;  ///< of the present value; empty: any
};

/// One change of one value: `edit` gets what is there (null: nothing) and says what shall be (nothing: removed). It is called when its turn comes, so that
/// what it reads cannot be old. Its error is one sentence without the value's name.
template <typename Value>
struct Change {
    std::string name;
    Precondition when;
    std::function<Result<std::optional<Value>, std::string>(const Value* before)> edit;
};
using AnyChange = std::variant<Change<RuleText>, Change<CredentialSet>, Change<Account>>;

class OperatorState;

struct Batch {
    std::vector<AnyChange> changes;
    /// What to change depends on what is there, or is much: called when its turn comes, in place of `changes`, and away from the loop.
    std::function<Result<std::vector<AnyChange>, Refusal>(const OperatorState&)> compose;
    std::string state_etag;  ///< of everything that the API made; empty: any
    bool dry_run = false;    ///< say what would happen, and leave everything
};

/// What happened to one value. Documents are null where there is nothing.
struct Step {
    enum class Action : std::uint8_t { create, update, remove, unchanged };
    Action action = Action::unchanged;
    std::string_view kind;  ///< "cacheRule", "credentialSet", "account"
    std::string name;
    JsonDocument before, after;
};
std::string_view name_of(Step::Action action) noexcept;  ///< "create", "update", "delete", "unchanged"

struct Outcome {
    static constexpr std::size_t notes_max = 100;
    std::vector<Step> steps;         ///< one for each change, in their order
    std::vector<std::string> notes;  ///< what is allowed and worth knowing, a sentence each
    std::string state_etag;          ///< of the state after it; of a dry run: for which it holds
};

}  // namespace entrepot
