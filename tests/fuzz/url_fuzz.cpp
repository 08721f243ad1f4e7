// Any bytes as a URL and as a Location: what is accepted prints as a URL that reads back as the same, and holds nothing that
// could end a request line.

#include "entrepot/base/assert.h"
#include "entrepot/http/url.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

using namespace entrepot;

namespace {

void check_url(const Url& url) {
    const std::string text = url.text();
    ASSERT(url.path.starts_with('/') && url.origin.port != 0 && !url.origin.host.empty());
    ASSERT(std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#' && c != '\\'; }));
    ASSERT(text.find('@') == std::string::npos || text.find('@') > text.find('/', 8));
    ASSERT(is_valid_authority(url.origin.authority()));
    if (text.size() <= url_bytes_max) ASSERT(parse_url(text) == url);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto copy = std::make_unique<char[]>(size);
    std::copy(data, data + size, copy.get());
    const std::string_view text(copy.get(), size);

    const auto url = parse_url(text);
    if (url) check_url(*url);
    const Url base = url ? *url : *parse_url("https://r.test:5000/v2/a/blobs/d?q=1");
    const auto resolved = resolve(base, text);
    if (resolved) check_url(*resolved);
    const auto redirected = resolve(*parse_url("http://a/b/c"), text.substr(size / 2));
    if (redirected) check_url(*redirected);

    const auto decoded = percent_decode(text);
    if (decoded) ASSERT(percent_decode(percent_encode(*decoded)) == decoded);
    const std::string query = add_query(text, "scope", text);
    ASSERT(find_query(set_query(query, "scope", "x"), "scope") == "x");
    (void)find_query(text, text.substr(0, size / 4));
    return 0;
}
