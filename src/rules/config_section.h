#pragma once
// One table of the configuration file while it is read: typed access to its keys, and a memory of which keys were asked for, so
// that all others can be refused by name. The first problem wins; readers go on and need not check.

#include "entrepot/base/result.h"

#include <toml++/toml.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

class ConfigProblem {
  public:
    /// Keeps the first one. Line 0 is the file as a whole.
    void note(unsigned line, std::string reason);
    bool found() const noexcept { return !reason_.empty(); }

    /// "<file>:<line>: <reason>".
    std::string text(std::string_view file) const { return line_for(file, line_, reason_); }
    static std::string line_for(std::string_view file, unsigned line, std::string_view reason);

  private:
    unsigned line_ = 0;
    std::string reason_;
};

class ConfigSection {
  public:
    /// `name` as people see it: "[server]". It is a literal; `table` and `problem` outlive the section.
    ConfigSection(const toml::table& table, std::string_view name, ConfigProblem& problem)
        : table_(table), name_(name), problem_(problem) {}

    /// A table under one of this one's keys; `name` is a literal.
    ConfigSection inner(const toml::table& table, std::string_view name) const { return {table, name, problem_}; }

    /// Each reads `key` into `value` and returns true, or leaves `value` as it was: because the key is absent, or because what
    /// is there is refused.
    bool text(std::string_view key, std::string& value);
    bool path(std::string_view key, std::string& value);           ///< absolute
    bool optional_path(std::string_view key, std::string& value);  ///< absolute, or empty
    bool flag(std::string_view key, bool& value);
    bool number(std::string_view key, std::size_t value_max, std::size_t& value);
    bool number(std::string_view key, unsigned value_max, unsigned& value);

    /// Null or empty when absent or refused (as longer than `size_max`, or of another type).
    const toml::array* list(std::string_view key, std::size_t size_max);
    bool is_list(std::string_view key) const;  ///< does not count as asking for the key
    const toml::table* table(std::string_view key);
    std::vector<const toml::table*> tables(std::string_view key, std::size_t size_max);

    /// One element of the list under `key`.
    bool element_text(std::string_view key, const toml::node& node, std::string& value);
    bool element_path(std::string_view key, const toml::node& node, std::string& value);

    /// Notes `[server] listen <reason>` with the line of the key, or of the table when the key is absent or empty.
    void refuse(std::string_view key, std::string_view reason);
    void refuse_unknown_keys();

    /// Where the table starts.
    unsigned line() const noexcept { return table_.source().begin.line; }

  private:
    const toml::node* find(std::string_view key);
    void refuse_type(std::string_view key, std::string_view wanted);
    bool sound_path(std::string_view key, const std::string& value);

    const toml::table& table_;
    std::string_view name_;
    ConfigProblem& problem_;
    std::vector<std::string_view> known_keys_;
};

/// The text of a file as a table. Refused with its line: what is no TOML, or longer, or has a longer line, than a configuration file may.
Result<toml::table, std::string> parse_toml(std::string_view text, std::string_view file);

}  // namespace entrepot
