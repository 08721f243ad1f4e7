#pragma once
// All accounts. Immutable: a change makes another table, which shares the accounts that stay, and shards are given the new one with their next snapshot.

#include "entrepot/rules/account.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

class AccountTable {
  public:
    static constexpr std::size_t accounts_max = 10'000;

    /// The error is one sentence: an account that is not sound, two of one name, too many.
    static Result<std::shared_ptr<const AccountTable>, std::string> build(std::vector<std::shared_ptr<const Account>> accounts);
    static std::shared_ptr<const AccountTable> empty();

    /// This table with that account added or put in the place of the one of its name. Fails as build() does.
    Result<std::shared_ptr<const AccountTable>, std::string> with(std::shared_ptr<const Account> account) const;
    /// This table without that account, if it is there.
    std::shared_ptr<const AccountTable> without(std::string_view name) const;

    /// Null when there is none of that name.
    std::shared_ptr<const Account> find(std::string_view name) const noexcept;
    /// In the order of their names.
    std::span<const std::shared_ptr<const Account>> accounts() const noexcept { return accounts_; }

  private:
    explicit AccountTable(std::vector<std::shared_ptr<const Account>> accounts) noexcept : accounts_(std::move(accounts)) {}
    std::vector<std::shared_ptr<const Account>> accounts_;
};

}  // namespace entrepot
