#pragma once
// Writing strings into JSON that people and browsers may look at.

#include <span>
#include <string>
#include <string_view>

namespace entrepot {

/// Appends `text` as a JSON string with its quotes. The result is ASCII: what is not becomes \uXXXX (with surrogates), as do
/// control characters and `<`, `>`, `&`, so that a browser which takes JSON for HTML, or a terminal, finds no markup
/// and no direction marks. Bytes that are no UTF-8 become U+FFFD each.
void append_json_string(std::string& out, std::string_view text);

/// The same for text whose grammar leaves nothing to escape: a repository, a tag, a digest, one of our own words.
void append_plain_json_string(std::string& out, std::string_view plain);

/// Appends `["a","b"]`, each as by append_plain_json_string.
void append_json_names(std::string& out, std::span<const std::string_view> names);

}  // namespace entrepot
