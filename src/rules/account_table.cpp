#include "entrepot/rules/account_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

const std::string& name_in(const std::shared_ptr<const Account>& account) noexcept { return account->name; }

}  // namespace

Result<std::shared_ptr<const AccountTable>, std::string> AccountTable::build(
    std::vector<std::shared_ptr<const Account>> accounts) {
    if (accounts.size() > accounts_max) return fmt::format("there are more than {} accounts", accounts_max);
    for (auto& account : accounts) {
        if (auto fault = fault_of(*account); !fault.empty()) return fault;
    }
    std::ranges::sort(accounts, {}, name_in);
    auto twin = std::ranges::adjacent_find(accounts, {}, name_in);
    if (twin != accounts.end()) return fmt::format("there are two accounts \"{}\"", (*twin)->name);
    return std::shared_ptr<const AccountTable>(new AccountTable(std::move(accounts)));
}

std::shared_ptr<const AccountTable> AccountTable::empty() { return std::shared_ptr<const AccountTable>(new AccountTable({})); }

Result<std::shared_ptr<const AccountTable>, std::string> AccountTable::with(std::shared_ptr<const Account> account) const {
    auto accounts = accounts_;
    std::erase_if(accounts, [&](auto& other) { return other->name == account->name; });
    accounts.push_back(std::move(account));
    return build(std::move(accounts));
}

std::shared_ptr<const AccountTable> AccountTable::without(std::string_view name) const {
    auto accounts = accounts_;
    std::erase_if(accounts, [&](auto& other) { return other->name == name; });
    return std::shared_ptr<const AccountTable>(new AccountTable(std::move(accounts)));
}

std::shared_ptr<const Account> AccountTable::find(std::string_view name) const noexcept {
    auto found = std::ranges::lower_bound(accounts_, name, std::less<std::string_view>(), name_in);
    return found != accounts_.end() && (*found)->name == name ? *found : nullptr;
}

}  // namespace entrepot
