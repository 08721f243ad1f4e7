#include "io/ring_refusal.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::string_view kernel_needed = "entrepot needs Linux 6.1 or newer with CONFIG_IO_URING";
constexpr std::string_view seccomp_needed =
    "a container's seccomp profile must allow io_uring_setup, io_uring_enter and io_uring_register";

std::string_view call_of(RingStep step) {
    switch (step) {
        case RingStep::setup: return "io_uring_setup";
        case RingStep::probe: return "io_uring_register, probe";
        case RingStep::enable: return "io_uring_register, enable";
        case RingStep::enter: return "io_uring_enter";
        case RingStep::receive_buffers: return "io_uring_register, receive buffers";
    }
    return "io_uring";
}

}  // namespace

std::string explain_refusal(RingStep step, int error, std::string_view release) {
    auto why = fmt::format("{}: {}", call_of(step), std::strerror(error));
    switch (error) {
        case EPERM:
        case EACCES:
            return fmt::format(
                "the kernel refuses io_uring to this process ({}): sysctl kernel.io_uring_disabled must be 0, or 1 with this user in "
                "the group kernel.io_uring_group; {}",
                why, seccomp_needed);
        case ENOSYS:
            return fmt::format("there is no io_uring ({}; Linux {}): {}; {}", why, release, kernel_needed, seccomp_needed);
        case EINVAL: return fmt::format("the io_uring of this kernel is too old ({}; Linux {}): {}", why, release, kernel_needed);
        case ENOMEM:
            return fmt::format(
                "there is no memory for an io_uring ({}): raise the limit on locked memory (LimitMEMLOCK, ulimit -l), or the memory "
                "limit of the container or unit",
                why);
        case EMFILE: return fmt::format("there is no descriptor left for an io_uring ({}): raise LimitNOFILE (ulimit -n)", why);
        case ENFILE: return fmt::format("there is no descriptor left for an io_uring ({}): raise sysctl fs.file-max", why);
        default: return fmt::format("io_uring does not work here ({}; Linux {}): {}", why, release, kernel_needed);
    }
}

std::string explain_missing(std::span<const std::string_view> operations, std::string_view release) {
    return fmt::format("the io_uring of this kernel lacks {} (Linux {}): {}", fmt::join(operations, ", "), release,
                       kernel_needed);
}

}  // namespace entrepot
