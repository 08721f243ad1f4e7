#include "entrepot/access/shown_credentials.h"

#include "access/base64_text.h"

#include <sodium.h>

#include <algorithm>

namespace entrepot {
namespace {

bool is_scheme(std::string_view text, std::string_view lower_case) noexcept {
    auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b; };
    return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(), same);
}

void read_basic(std::string_view encoded, ShownCredentials& credentials) {
    auto pair = parse_base64(encoded);
    if (!pair) return;
    auto colon = pair->find(':');
    if (colon != std::string::npos) {
        credentials.kind = ShownKind::basic;
        credentials.user = pair->substr(0, colon);
        credentials.password = pair->substr(colon + 1);
    }
    wipe_secret(*pair);
}

}  // namespace

void wipe_secret(std::string& secret) noexcept {
    secret.resize(secret.capacity());  // never allocates
    ::sodium_memzero(secret.data(), secret.size());
    secret.clear();
}

ShownCredentials::~ShownCredentials() { wipe_secret(password); }

ShownCredentials parse_authorization(std::string_view field) {
    ShownCredentials credentials;
    if (field.empty()) return credentials;
    credentials.kind = ShownKind::unreadable;
    auto blank = std::min(field.find(' '), field.size());
    auto scheme = field.substr(0, blank);
    auto rest = field.substr(blank);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (rest.empty()) return credentials;
    if (is_scheme(scheme, "basic")) read_basic(rest, credentials);
    if (is_scheme(scheme, "bearer") && rest.find(' ') == std::string_view::npos) {
        credentials.kind = ShownKind::bearer;
        credentials.token = rest;
    }
    return credentials;
}

}  // namespace entrepot
