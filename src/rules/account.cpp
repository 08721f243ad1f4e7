#include "entrepot/rules/account.h"

#include "entrepot/base/log.h"
#include "entrepot/rules/cache_rule.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::string_view argon_prefix = "$argon2id$", sha256_prefix = "sha256:";
constexpr std::size_t hash_bytes_max = 127;  // what the hashing library reads
constexpr std::size_t sha256_hex_digits = 64;

bool is_hex(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_hash(AccountKind kind, std::string_view hash) noexcept {
    if (kind == AccountKind::password) return hash.starts_with(argon_prefix) && hash.size() <= hash_bytes_max;
    return hash.starts_with(sha256_prefix) && hash.size() == sha256_prefix.size() + sha256_hex_digits &&
           is_hex(hash.substr(sha256_prefix.size()));
}

}  // namespace

std::string_view name_of(AccountKind kind) noexcept { return kind == AccountKind::password ? "password" : "token"; }

std::string_view fault_of_password(std::string_view password) noexcept {
    if (password.size() < password_bytes_min) return "is shorter than 8 bytes";
    if (password.size() > password_bytes_max) return "is longer than 1024 bytes";
    auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(password.begin(), password.end(), control)) return "holds line ends or other control characters";
    if (password.starts_with(token_secret_prefix)) return "begins like the secret of a token; choose another";
    return "";
}

std::string fault_of(const Account& account) {
    if (!is_account_name(account.name) || account.name == anonymous_puller) {
        return fmt::format("account \"{}\": its name must be letters, digits, '-', '_' or '.', at most 128, and not \"{}\"",
                           escaped(account.name, 150), anonymous_puller);
    }
    if (!is_hash(account.kind, account.hash))
        return fmt::format("account \"{}\": its stored secret is not one of kind {}; set it anew", account.name,
                           name_of(account.kind));
    if (account.repositories.empty())
        return fmt::format("account \"{}\": repositories is empty, so it could pull nothing; write \"**\" for all", account.name);
    return {};
}

}  // namespace entrepot
