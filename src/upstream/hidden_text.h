#pragma once
// A secret that stays: in pages of its own, which no dump of the process contains (MADV_DONTDUMP), and overwritten when it goes. What a request needs for a moment is
// copied out of it (Authorization, SecretText) and wiped there.

#include <cstddef>
#include <string_view>
#include <utility>

namespace entrepot {

class HiddenText {
  public:
    HiddenText() = default;
    explicit HiddenText(std::string_view text);
    HiddenText(HiddenText&& other) noexcept { swap(other); }
    HiddenText& operator=(HiddenText&& other) noexcept {
        swap(other);
        return *this;
    }
    ~HiddenText();

    std::string_view view() const noexcept { return {data_, size_}; }

  private:
    void swap(HiddenText& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }

    char* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace entrepot
