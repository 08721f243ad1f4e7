#pragma once
// Result<T> is a value or an Error, with the interface of C++23's std::expected (g++ 12 offers that header only
// under -std=c++23), so that one `using` can replace it later. Accessing the wrong side trips an ASSERT.

#include "entrepot/base/assert.h"
#include "entrepot/base/error.h"

#include <type_traits>
#include <utility>
#include <variant>

namespace entrepot {

template <typename T, typename E = Error>
class [[nodiscard]] Result {
  public:
    using value_type = T;
    using error_type = E;

    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(E error) : content_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T& operator*() & {
        ASSERT(has_value());
        return *std::get_if<0>(&content_);
    }
    const T& operator*() const& {
        ASSERT(has_value());
        return *std::get_if<0>(&content_);
    }
    T&& operator*() && {
        ASSERT(has_value());
        return std::move(*std::get_if<0>(&content_));
    }
    T* operator->() { return &**this; }
    const T* operator->() const { return &**this; }
    T& value() & { return **this; }
    T&& value() && { return *std::move(*this); }
    const E& error() const {
        ASSERT(!has_value());
        return *std::get_if<1>(&content_);
    }
    T value_or(T other) && { return has_value() ? std::move(**this) : std::move(other); }

  private:
    std::variant<T, E> content_;
};

template <typename E>
class [[nodiscard]] Result<void, E> {
  public:
    using value_type = void;
    using error_type = E;

    Result() = default;
    Result(E error) : failed_(true), error_(std::move(error)) {}

    bool has_value() const noexcept { return !failed_; }
    explicit operator bool() const noexcept { return !failed_; }
    const E& error() const {
        ASSERT(failed_);
        return error_;
    }

  private:
    bool failed_ = false;
    E error_{};
};

}  // namespace entrepot
