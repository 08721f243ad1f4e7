#include "entrepot/access/entrance.h"

#include "access/base64_text.h"

#include <algorithm>

namespace entrepot {

std::string Entrance::key_text() const { return base64url_text(key); }

bool Entrance::use_key(std::string_view text) noexcept {
    auto bytes = parse_base64url(text);
    if (!bytes || bytes->size() != key.size()) return false;
    std::ranges::copy(bytes_of(*bytes), key.begin());
    return true;
}

}  // namespace entrepot
