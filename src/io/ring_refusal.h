#pragma once
// Why there is no io_uring, said to an operator in one line: what, why, what to do.

#include <span>
#include <string>
#include <string_view>

namespace entrepot {

/// What opening a ring asks of the kernel, in this order.
enum class RingStep { setup, probe, enable, enter, receive_buffers };

/// `error` is the errno of the step that failed, `release` the running kernel's (uname -r).
std::string explain_refusal(RingStep step, int error, std::string_view release);

/// The kernel has an io_uring, but not these operations.
std::string explain_missing(std::span<const std::string_view> operations, std::string_view release);

}  // namespace entrepot
