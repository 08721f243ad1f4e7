#pragma once
// Aligned columns under their names, as wide as what they hold. On a narrow terminal the widest are cut, so that no line wraps.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace entrepot::cli {

class Table {
  public:
    explicit Table(std::vector<std::string> names) : names_(std::move(names)) {}

    /// As many cells as there are names; an empty one is shown as "-".
    void add(std::vector<std::string> cells);
    bool empty() const noexcept { return rows_.empty(); }

    /// Each line ends in a line end and has no blanks before it.
    std::string text(std::optional<std::size_t> columns_max, bool utf8) const;
    /// Without names, cells apart by tabs; a tab, line end or other control character in a cell is written out.
    std::string tsv() const;

  private:
    std::vector<std::string> names_;
    std::vector<std::vector<std::string>> rows_;
};

/// "Name   value" lines with the values aligned; for one thing with many properties.
class Properties {
  public:
    void add(std::string name, std::string value) { lines_.emplace_back(std::move(name), std::move(value)); }
    std::string text(bool utf8) const;

  private:
    std::vector<std::pair<std::string, std::string>> lines_;
};

}  // namespace entrepot::cli
