#include "rules/config_section.h"

#include "entrepot/base/log.h"
#include "entrepot/rules/config.h"

#include <algorithm>

namespace entrepot {

namespace {

constexpr std::size_t text_bytes_max = 4096;  // of any string; the longest thing anybody writes is a path

// The number of the first line past line_bytes_max, or 0. toml++ destroys the tables of a dotted key recursively, so a line of dots
// of any length would be a stack of any depth.
unsigned first_long_line(std::string_view text) noexcept {
    for (unsigned line = 1; !text.empty(); ++line) {
        const std::size_t length = std::min(text.find('\n'), text.size());
        if (length > Config::line_bytes_max) return line;
        text.remove_prefix(std::min(length + 1, text.size()));
    }
    return 0;
}

}  // namespace

Result<toml::table, std::string> parse_toml(std::string_view text, std::string_view file) {
    if (text.size() > Config::bytes_max) return ConfigProblem::line_for(file, 0, "is longer than 64 MiB");
    if (const unsigned line = first_long_line(text)) return ConfigProblem::line_for(file, line, "the line is longer than 8 KiB");
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        return ConfigProblem::line_for(file, error.source().begin.line, escaped(error.description(), 300));
    }
}

void ConfigProblem::note(unsigned line, std::string reason) {
    if (found()) return;
    line_ = line;
    reason_ = std::move(reason);
}

std::string ConfigProblem::line_for(std::string_view file, unsigned line, std::string_view reason) {
    return line == 0 ? fmt::format("{}: {}", file, reason) : fmt::format("{}:{}: {}", file, line, reason);
}

const toml::node* ConfigSection::find(std::string_view key) {
    known_keys_.push_back(key);
    return table_.get(key);
}

void ConfigSection::refuse(std::string_view key, std::string_view reason) {
    const toml::node* node = key.empty() ? nullptr : table_.get(key);
    const unsigned key_line = node ? node->source().begin.line : line();
    problem_.note(key_line, fmt::format("{} {}{}{}", name_, key, key.empty() ? "" : " ", reason));
}

void ConfigSection::refuse_type(std::string_view key, std::string_view wanted) { refuse(key, fmt::format("must be {}", wanted)); }

void ConfigSection::refuse_unknown_keys() {
    for (const auto& [key, node] : table_) {
        if (std::find(known_keys_.begin(), known_keys_.end(), key.str()) != known_keys_.end()) continue;
        const auto reason =
            fmt::format("{} has no key \"{}\"; it has {}", name_, escaped(key.str(), 100), fmt::join(known_keys_, ", "));
        return problem_.note(key.source().begin.line, reason);
    }
}

bool ConfigSection::element_text(std::string_view key, const toml::node& node, std::string& value) {
    const auto* text = node.as_string();
    if (!text) {
        problem_.note(node.source().begin.line, fmt::format("{} {} must hold texts in quotes", name_, key));
        return false;
    }
    if (text->get().size() > text_bytes_max) {
        refuse(key, "is too long");
        return false;
    }
    value = text->get();
    return true;
}

bool ConfigSection::text(std::string_view key, std::string& value) {
    const toml::node* node = find(key);
    if (!node) return false;
    if (node->is_string()) return element_text(key, *node, value);
    refuse_type(key, "a text in quotes");
    return false;
}

bool ConfigSection::sound_path(std::string_view key, const std::string& value) {
    const bool printable =
        std::none_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (value.starts_with('/') && printable) return true;
    refuse(key, fmt::format("is \"{}\", which is no absolute path", escaped(value, 300)));
    return false;
}

bool ConfigSection::element_path(std::string_view key, const toml::node& node, std::string& value) {
    std::string text;
    if (!element_text(key, node, text) || !sound_path(key, text)) return false;
    value = std::move(text);
    return true;
}

bool ConfigSection::path(std::string_view key, std::string& value) {
    std::string read;
    if (!text(key, read) || !sound_path(key, read)) return false;
    value = std::move(read);
    return true;
}

bool ConfigSection::optional_path(std::string_view key, std::string& value) {
    std::string read;
    if (!text(key, read) || (!read.empty() && !sound_path(key, read))) return false;
    value = std::move(read);
    return true;
}

bool ConfigSection::flag(std::string_view key, bool& value) {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* flag = node->as_boolean();
    if (!flag) refuse_type(key, "true or false");
    if (flag) value = flag->get();
    return flag;
}

bool ConfigSection::number(std::string_view key, std::size_t value_max, std::size_t& value) {
    const toml::node* node = find(key);
    if (!node) return false;
    const auto* number = node->as_integer();
    const bool fits = number && number->get() >= 0 && static_cast<std::uint64_t>(number->get()) <= value_max;
    if (!fits) refuse_type(key, fmt::format("a whole number from 0 to {}", value_max));
    if (fits) value = static_cast<std::size_t>(number->get());
    return fits;
}

bool ConfigSection::number(std::string_view key, unsigned value_max, unsigned& value) {
    std::size_t wide = 0;
    if (!number(key, std::size_t{value_max}, wide)) return false;
    value = static_cast<unsigned>(wide);
    return true;
}

const toml::array* ConfigSection::list(std::string_view key, std::size_t size_max) {
    const toml::node* node = find(key);
    if (!node) return nullptr;
    const toml::array* array = node->as_array();
    if (!array) refuse_type(key, "a list in brackets");
    if (!array || array->size() <= size_max) return array;
    refuse(key, fmt::format("has more than {} entries", size_max));
    return nullptr;
}

bool ConfigSection::is_list(std::string_view key) const {
    const toml::node* node = table_.get(key);
    return node && node->is_array();
}

const toml::table* ConfigSection::table(std::string_view key) {
    const toml::node* node = find(key);
    if (!node) return nullptr;
    const toml::table* table = node->as_table();
    if (!table) problem_.note(node->source().begin.line, fmt::format("{} must be a table, [{}]", key, key));
    return table;
}

std::vector<const toml::table*> ConfigSection::tables(std::string_view key, std::size_t size_max) {
    std::vector<const toml::table*> found;
    const toml::node* node = find(key);
    if (!node) return found;
    const toml::array* array = node->as_array();
    if (!array || std::any_of(array->begin(), array->end(), [](const toml::node& entry) { return !entry.is_table(); })) {
        problem_.note(node->source().begin.line, fmt::format("{} must be tables, [[{}]]", key, key));
        return found;
    }
    if (array->size() > size_max) {
        problem_.note(node->source().begin.line, fmt::format("more than {} [[{}]]", size_max, key));
        return found;
    }
    found.reserve(array->size());
    for (const toml::node& entry : *array) found.push_back(entry.as_table());
    return found;
}

}  // namespace entrepot
