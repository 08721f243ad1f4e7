#pragma once
// Why a command ends without having done what it was asked: one line for people, and the exit status.

#include "entrepot/base/result.h"

#include <fmt/format.h>

#include <string>

namespace entrepot::cli {

constexpr int status_failed = 1;  ///< refused or failed
constexpr int status_misused = 2;

struct Failure {
    std::string text;  ///< what, why, what to do; may hold what a server said, so it is escaped where it is printed
    int status = status_failed;
};

template <typename T>
using Outcome = Result<T, Failure>;

template <typename... Args>
Failure failed(fmt::format_string<Args...> form, Args&&... args) {
    return {fmt::format(form, std::forward<Args>(args)...), status_failed};
}
template <typename... Args>
Failure misused(fmt::format_string<Args...> form, Args&&... args) {
    return {fmt::format(form, std::forward<Args>(args)...), status_misused};
}

}  // namespace entrepot::cli
