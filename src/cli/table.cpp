#include "cli/table.h"

#include "entrepot/base/assert.h"

#include "cli/text.h"

#include <algorithm>
#include <numeric>

namespace entrepot::cli {
namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t column_least = 4;  // below this a column says nothing any more

using Row = std::vector<std::string>;

/// Takes columns from the widest until the line fits, or until nothing is left to take.
void narrow(std::vector<std::size_t>& widths, std::size_t columns_max) {
    const std::size_t gaps = gap * (widths.size() - 1);
    for (;;) {
        const std::size_t line = std::accumulate(widths.begin(), widths.end(), gaps);
        const auto widest = std::max_element(widths.begin(), widths.end());
        if (line <= columns_max || *widest <= column_least) return;
        --*widest;
    }
}

void write_line(std::string& out, const Row& cells, const std::vector<std::size_t>& widths, bool utf8) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i > 0) line.append(gap, ' ');
        const std::string cell = cut_to(cells[i], widths[i], utf8);
        line += cell;
        line.append(widths[i] - width_of(cell), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
}

}  // namespace

void Table::add(std::vector<std::string> cells) {
    ASSERT(cells.size() == names_.size());
    rows_.push_back(std::move(cells));
}

std::string Table::text(std::optional<std::size_t> columns_max, bool utf8) const {
    std::vector<Row> lines{names_};
    lines.reserve(rows_.size() + 1);
    for (const auto& row : rows_) {
        auto& line = lines.emplace_back();
        for (const auto& cell : row) line.push_back(cell.empty() ? "-" : printable(cell, utf8));
    }
    std::vector<std::size_t> widths(names_.size());
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
    if (columns_max) narrow(widths, *columns_max);
    std::string out;
    for (const auto& line : lines) write_line(out, line, widths, utf8);
    return out;
}

std::string Table::tsv() const {
    std::string out;
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (i > 0) out += '\t';
            out += printable(row[i], true);
        }
        out += '\n';
    }
    return out;
}

std::string Properties::text(bool utf8) const {
    std::size_t widest = 0;
    for (const auto& [name, value] : lines_) widest = std::max(widest, width_of(name));
    std::string out;
    for (const auto& [name, value] : lines_) {
        const std::string shown = value.empty() ? "-" : printable(value, utf8);
        out += name + std::string(widest + gap - width_of(name), ' ') + shown + '\n';
    }
    return out;
}

}  // namespace entrepot::cli
