#pragma once
// The values of one header field that may stand on several lines (Accept, If-None-Match, WWW-Authenticate, Link), in the
// order of arrival. A bounded list of views into the message's buffer; it never allocates.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace entrepot {

/// What functions take that evaluate such a field.
using FieldValues = std::span<const std::string_view>;

template <std::size_t Max>
class FieldLines {
  public:
    static constexpr std::size_t lines_max = Max;
    static_assert(Max <= 255);

    /// False when the list is full; the line is then not kept.
    bool add(std::string_view line) noexcept {
        if (count_ == Max) return false;
        lines_[count_++] = line;
        return true;
    }
    void clear() noexcept { count_ = 0; }

    bool empty() const noexcept { return count_ == 0; }
    std::size_t size() const noexcept { return count_; }
    std::string_view operator[](std::size_t index) const noexcept { return lines_[index]; }
    FieldValues values() const noexcept { return {lines_.data(), count_}; }
    operator FieldValues() const noexcept { return values(); }

  private:
    std::array<std::string_view, Max> lines_;
    std::uint8_t count_ = 0;
};

}  // namespace entrepot
