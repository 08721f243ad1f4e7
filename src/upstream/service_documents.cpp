#include "upstream/service_documents.h"

#include "entrepot/http/jwt.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace entrepot {
namespace {

constexpr std::int64_t life_min = 1, life_max = 24 * 60 * 60;  // seconds
constexpr std::int64_t life_default = 5 * 60;                  // of a token that does not say

void wipe_texts(nlohmann::json& value) {
    if (value.is_string()) return wipe(value.get_ref<std::string&>());
    if (!value.is_structured()) return;
    for (auto& element : value) wipe_texts(element);
}

/// A document whose texts are wiped with it.
class SecretJson {
  public:
    explicit SecretJson(std::string_view text) : value_(nlohmann::json::parse(text, nullptr, false)) {}
    ~SecretJson() { wipe_texts(value_); }
    SecretJson(const SecretJson&) = delete;
    SecretJson& operator=(const SecretJson&) = delete;

    const nlohmann::json* find(std::initializer_list<std::string_view> path) const {
        const nlohmann::json* value = &value_;
        for (auto name : path) {
            if (!value->is_object()) return nullptr;
            auto found = value->find(name);
            if (found == value->end()) return nullptr;
            value = &*found;
        }
        return value;
    }
    std::optional<SecretText> text(std::initializer_list<std::string_view> path) const {
        auto* value = find(path);
        if (!value || !value->is_string()) return std::nullopt;
        return SecretText(value->get_ref<const std::string&>());
    }
    /// A number, also when it is written as text.
    std::optional<std::int64_t> number(std::initializer_list<std::string_view> path) const {
        auto* value = find(path);
        if (value && value->is_number()) {
            auto real = value->get<double>();
            if (!(real >= 0 && real < 1e15)) return std::nullopt;
            return static_cast<std::int64_t>(real);
        }
        if (!value || !value->is_string()) return std::nullopt;
        auto& digits = value->get_ref<const std::string&>();
        std::int64_t parsed = 0;
        auto result = std::from_chars(digits.data(), digits.data() + digits.size(), parsed);
        bool whole = result.ec == std::errc() && result.ptr == digits.data() + digits.size();
        if (!whole || parsed < 0) return std::nullopt;
        return parsed;
    }

  private:
    nlohmann::json value_;
};

bool may_stand_in_header(std::string_view token) noexcept {
    return !token.empty() && token.size() <= jwt_bytes_max &&
           std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::optional<Grant> grant_of(std::optional<SecretText> token, std::optional<std::int64_t> life) {
    if (!token || !may_stand_in_header(token->text())) return std::nullopt;
    Grant grant;
    grant.token = *std::move(token);
    grant.life = seconds(std::clamp(life.value_or(life_default), life_min, life_max));
    return grant;
}

std::optional<std::int64_t> own_life(const std::optional<SecretText>& token, std::int64_t wall) {
    auto expiry = token ? jwt_expiry(token->text()) : std::nullopt;
    if (!expiry) return std::nullopt;
    return *expiry - wall;
}

bool is_word(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

}  // namespace

std::optional<Grant> parse_access_token(std::string_view json, std::int64_t wall) {
    SecretJson document(json);
    auto token = document.text({"access_token"});
    auto life = own_life(token, wall);
    if (!life) life = document.number({"expires_in"});
    if (auto end = document.number({"expires_on"}); !life && end) life = *end - wall;
    return grant_of(std::move(token), life);
}

std::optional<Grant> parse_registry_token(std::string_view json, std::string_view name, std::int64_t wall) {
    SecretJson document(json);
    auto token = document.text({name});
    auto life = own_life(token, wall);
    return grant_of(std::move(token), life);
}

std::optional<Grant> parse_vault_login(std::string_view json) {
    SecretJson document(json);
    auto life = document.number({"auth", "lease_duration"});
    if (life == 0) life = life_max;  // does not end by itself
    return grant_of(document.text({"auth", "client_token"}), life);
}

std::string vault_login_text(const char* role_name, const std::string& role, const char* proof_name, const SecretText& proof) {
    nlohmann::json document{{role_name, role}, {proof_name, proof.text()}};
    auto text = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    wipe_texts(document);
    return text;
}

std::optional<SecretText> parse_vault_secret(std::string_view json, const std::string& field) {
    return SecretJson(json).text({"data", "data", field});
}

bool is_deleted_in_vault(std::string_view json) {
    auto time = SecretJson(json).text({"data", "metadata", "deletion_time"});
    return time && !time->text().empty();
}

std::string_view vault_reason(std::string_view json) {
    struct Known {
        std::string_view marker, meaning;
    };
    static constexpr Known known[] = {
        {"invalid token", " (the token has ended or was revoked)"},
        {" is sealed", " (it is sealed)"},
        {"no handler for route", " (nothing is mounted there)"},
        {"invalid role or secret ID", " (the role ID is unknown, or the secret ID is wrong or has ended)"},
        {"could not be found", " (it has no such role)"},
        {"(aud)", " (the token is for another audience)"},
        {"audience claim", " (the token is for another audience)"},
        {"expir", " (the token has ended)"},
        {"signature", " (it does not trust the token's signature)"},
    };
    SecretJson document(json);
    auto* errors = document.find({"errors"});
    if (!errors || !errors->is_array()) return {};
    for (auto& [marker, meaning] : known) {
        for (auto& error : *errors) {
            if (error.is_string() && error.get_ref<const std::string&>().find(marker) != std::string::npos) return meaning;
        }
    }
    return {};
}

std::optional<SecretText> parse_key_vault_secret(std::string_view json) { return SecretJson(json).text({"value"}); }

std::string key_vault_refusal(std::string_view json) {
    SecretJson document(json);
    auto code = document.text({"error", "innererror", "code"});
    if (!code) code = document.text({"error", "code"});
    return code && is_word(code->text()) ? code->text() : std::string();
}

std::string authority_refusal(std::string_view json) {
    SecretJson document(json);
    auto error = document.text({"error"}), description = document.text({"error_description"});
    if (!error || !is_word(error->text())) return {};
    auto number =
        description ? std::string_view(description->text()).substr(0, description->text().find(':')) : std::string_view();
    bool is_number = number.starts_with("AADSTS") && is_word(number);
    return is_number ? fmt::format("{}, {}", error->text(), number) : error->text();
}

}  // namespace entrepot
