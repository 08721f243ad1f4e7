#pragma once
// Everything an operator has said: cache rules, credential sets and accounts, those of the configuration file and those made at run time, side by side. It decides
// whether a batch of changes is sound, makes it true or leaves everything as it was, and says what the ledger has to keep. It does no I/O, and belongs to one
// loop. A copy shares the rules and is independent: large batches are staged on one, away from the loop.

#include "entrepot/control/change.h"
#include "entrepot/rules/account_table.h"
#include "entrepot/rules/config.h"
#include "entrepot/rules/rule_book.h"
#include "entrepot/store/ledger.h"

#include <map>
#include <set>

namespace entrepot {

class OperatorState {
  public:
    /// What the file says, and the default rules when it says so.
    explicit OperatorState(const Config& config);

    /// A value made at run time comes back: from the ledger, or from the state before the file was read again. What the file now forbids takes no part, and is
    /// kept; the error says why, for the log.
    Result<void, std::string> adopt(RuleText rule);
    Result<void, std::string> adopt(CredentialSet set);
    Result<void, std::string> adopt(Account account);
    /// The same from the ledger's text. A value that this version cannot read is left alone; keys of others are none of our business.
    Result<void, std::string> restore(std::string_view key, std::string_view text);

    /// All that `before` has of it, those that took no part as well; what the file forbids adds a line to `complaints`.
    void adopt_what_was_made_at_run_time(const OperatorState& before, std::vector<std::string>& complaints);

    /// A batch that was made true, what the ledger has to keep, and what would undo it.
    struct Staged {
        Outcome outcome;
        std::vector<LedgerChange> keep;
        std::set<std::string, std::less<>> login_servers;  ///< of the rules that came or changed
        std::vector<std::function<void()>> undo;           ///< in the order of doing
    };
    /// Nothing has changed when it is refused.
    Result<Staged, Refusal> stage(const Batch& batch, std::int64_t wall);
    /// Before anything else is staged.
    static void undo(Staged& staged);

    const RuleText* find_rule(std::string_view name) const;
    const CredentialSet* find_credential_set(std::string_view name) const;
    std::shared_ptr<const Account> find_account(std::string_view name) const;
    /// By name, after `after`, at most `count_max`.
    std::vector<const RuleText*> rules_after(std::string_view after, std::size_t count_max) const;
    std::vector<const CredentialSet*> credential_sets_after(std::string_view after, std::size_t count_max) const;
    std::vector<const Account*> accounts_after(std::string_view after, std::size_t count_max) const;
    /// All of them by name, those that take no part as well: they are the operator's all the same.
    std::vector<std::shared_ptr<const RuleText>> rules_made_at_run_time() const;
    /// What the file's options and the credential sets say against a rule by itself, whatever stands beside it.
    Result<void, Refusal> check(const CacheRule& rule) const;
    /// Why a rule made at run time takes no part; "" when it does.
    std::string problem_of(std::string_view rule) const;

    const RuleBook& book() const noexcept { return book_; }
    const std::map<std::string, CredentialSet, std::less<>>& credential_sets() const noexcept { return sets_; }
    const std::map<std::string, std::shared_ptr<const Account>, std::less<>>& accounts() const noexcept { return accounts_; }
    /// Changes with every change of what was made at run time.
    std::string etag() const;

  private:
    struct Idle {  ///< takes no part
        std::shared_ptr<const RuleText> text;
        std::string problem;
    };
    template <typename Value>
    struct Planned;
    struct Plan;

    template <typename Value>
    Result<void, Refusal> add_to(Plan& plan, const Change<Value>& change, const Value* before, std::int64_t wall,
                                 Staged& staged) const;
    Result<Staged, Refusal> stage(const std::vector<AnyChange>& changes, std::int64_t wall);
    Result<Staged, Refusal> stage_composed(const Batch& batch, std::int64_t wall);
    Result<void, Refusal> make_true(const Plan& plan, Staged& staged);
    Result<void, Refusal> add_rule(const RuleText& text, Staged& staged);
    void note_pullers_gone(const Plan& plan, std::vector<std::string>& notes) const;
    Result<void, Refusal> check_users_of(const std::string& set) const;
    std::vector<std::string> notes_about(const CacheRule& rule) const;
    void take_rule(const std::string& name, Staged& staged);
    void replace_account(const std::string& name, const std::optional<Account>& after, Staged& staged);
    void put_set(const CredentialSet& set, Staged& staged);
    void take_set(const std::string& name, Staged& staged);

    Config limits_;  ///< the file's options and upstreams, without its rules and sets
    RuleBook book_;
    std::map<std::string, CredentialSet, std::less<>> sets_;
    std::map<std::string, Idle, std::less<>> idle_;
    std::map<std::string, std::shared_ptr<const Account>, std::less<>> accounts_;
    std::uint64_t made_at_run_time_ = 0;  ///< sum of what each value made at run time adds to the etag
};

}  // namespace entrepot
