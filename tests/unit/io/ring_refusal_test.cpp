#include "io/ring_refusal.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <vector>

namespace entrepot {

TEST_CASE("ring refusal: each errno names the call, the cause and what to do, in one line") {
    struct Row {
        RingStep step;
        int error;
        std::vector<std::string_view> words;
    };
    const Row rows[] = {
        {RingStep::setup,
         EPERM,
         {"io_uring_setup: Operation not permitted", "kernel.io_uring_disabled", "io_uring_group", "seccomp"}},
        {RingStep::enter, EPERM, {"io_uring_enter: Operation not permitted", "seccomp", "io_uring_enter"}},
        {RingStep::probe, EACCES, {"io_uring_register, probe: Permission denied", "seccomp"}},
        {RingStep::setup, ENOSYS, {"io_uring_setup: Function not implemented", "Linux 5.4.0-x", "CONFIG_IO_URING", "seccomp"}},
        {RingStep::setup, EINVAL, {"too old", "Linux 5.4.0-x", "6.1 or newer"}},
        {RingStep::receive_buffers, EINVAL, {"too old", "receive buffers: Invalid argument", "6.1 or newer"}},
        {RingStep::enable, EINVAL, {"too old", "enable: Invalid argument"}},
        {RingStep::setup, ENOMEM, {"no memory", "LimitMEMLOCK", "ulimit -l", "container or unit"}},
        {RingStep::setup, EMFILE, {"no descriptor", "LimitNOFILE"}},
        {RingStep::setup, ENFILE, {"no descriptor", "fs.file-max"}},
        {RingStep::setup, EIO, {"io_uring_setup: Input/output error", "Linux 5.4.0-x", "6.1 or newer"}},
    };
    for (auto& row : rows) {
        auto text = explain_refusal(row.step, row.error, "5.4.0-x");
        CAPTURE(text);
        CHECK(text.find('\n') == std::string::npos);
        for (auto word : row.words) {
            CAPTURE(word);
            CHECK(text.find(word) != std::string::npos);
        }
    }
}

TEST_CASE("ring refusal: operations that the kernel lacks are named") {
    const std::vector<std::string_view> lacking{"openat2", "accept"};
    auto text = explain_missing(lacking, "6.1.0-vendor");
    CHECK(text.find("lacks openat2, accept (Linux 6.1.0-vendor)") != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
}

}  // namespace entrepot
