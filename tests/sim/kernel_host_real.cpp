#include "kernel_host.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace entrepot::sim {
namespace {

/// Beside the program, because /tmp may be a tmpfs, which knows no O_DIRECT. Asked once, at the start: in a mount name space of our own below a chroot the kernel calls the
/// program's path unreachable.
const std::string& directory_of_program() {
    static const std::string directory = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
    return directory;
}

class RealHost final : public KernelHost {
  public:
    RealHost() {
        path_ = directory_of_program() + "/kernel-test-XXXXXX";
        REQUIRE(::mkdtemp(path_.data()));
    }
    ~RealHost() override {
        if (mounted_) ::umount((path_ + "/small").c_str());
        std::filesystem::remove_all(path_);
    }
    int root() override { return ::open(path_.c_str(), O_DIRECTORY | O_CLOEXEC); }
    int small_root() override {
        // In a mount name space of our own, so that nothing stays behind whatever happens. Needs root.
        std::string small = path_ + "/small";
        std::filesystem::create_directory(small);
        if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return -1;
        mounted_ = ::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=64k") == 0;
        return mounted_ ? ::open(small.c_str(), O_DIRECTORY | O_CLOEXEC) : -1;
    }
    bool simulated() const override { return false; }

  private:
    std::string path_;
    bool mounted_ = false;
};

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
    return count;
}

}  // namespace

void run_on_kernel(KernelProgram program) {
    RealHost host;
    auto ring = Ring::open({.provided_buffers = 8, .provided_buffer_bytes = 4096});
    REQUIRE_MESSAGE(ring, (ring ? "" : ring.error()));
    Loop loop(std::move(*ring));
    auto before = open_descriptors();
    auto task = program(host);
    Instant limit = now() + seconds(20);
    while (!task.done() && now() < limit) loop.turn(now() + milliseconds(100));
    if (!task.done()) {
        print_live_tasks();
        std::abort();
    }
    CHECK(open_descriptors() == before);
    CHECK(loop.ring().in_flight() == 0);
}

}  // namespace entrepot::sim
