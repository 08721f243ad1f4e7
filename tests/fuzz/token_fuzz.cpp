// Any bytes as the answer of a token server, and (behind the first NUL, if there is one) as a challenge: reading ends, a token
// is fit to stand in a header and lives a second to an hour, and an order leads to a URL that parses again and names a scope.

#include "entrepot/base/assert.h"
#include "entrepot/http/token.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

using namespace entrepot;

namespace {

void read_document(std::string_view json) {
    auto document = parse_token_document(json);
    if (!document) return;
    ASSERT(!document->token.empty() && document->token.size() <= json.size());
    ASSERT(std::all_of(document->token.begin(), document->token.end(), [](char c) { return c > 0x20 && c < 0x7f; }));
    ASSERT(document->life >= seconds(1) && document->life <= std::chrono::hours(1));
}

void read_challenge(std::string_view line) {
    for (auto& challenge : parse_challenges(FieldValues(&line, 1))) {
        auto url = token_url(challenge, "repository:lab/app:pull");
        if (!url) continue;
        auto text = url->text();
        ASSERT(text.find_first_of(" \r\n") == std::string::npos);
        ASSERT(find_query(url->query, "scope").has_value());
        auto again = parse_url(text);
        ASSERT(text.size() > url_bytes_max || (again && *again == *url));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto copy = std::make_unique<char[]>(size);
    std::copy(data, data + size, copy.get());
    std::string_view all(copy.get(), size);
    auto end = std::min(all.find('\0'), all.size());
    read_document(all.substr(0, end));
    if (end < all.size()) read_challenge(all.substr(end + 1));
    return 0;
}
