#include "cli/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace entrepot::cli {
namespace {

constexpr std::size_t step_bytes = 64 * 1024;

ssize_t read_some(int descriptor, char* into, std::size_t bytes) {
    for (;;) {
        ssize_t got = ::read(descriptor, into, bytes);
        if (got >= 0 || errno != EINTR) return got;
    }
}

}  // namespace

Result<File, int> File::open(const std::string& path) {
    // Without O_NONBLOCK a pipe without a writer would hold us for ever.
    int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return errno;
    ::fcntl(descriptor, F_SETFL, 0);
    return File(descriptor, true);
}

File::~File() {
    if (owned_ && descriptor_ >= 0) ::close(descriptor_);
}

Result<std::string, int> File::read(std::size_t bytes_max) {
    std::string text;
    for (;;) {
        std::size_t have = text.size();
        text.resize(have + std::min(step_bytes, bytes_max + 1 - have));
        ssize_t got = read_some(descriptor_, text.data() + have, text.size() - have);
        if (got < 0) return errno;
        text.resize(have + static_cast<std::size_t>(got));
        if (got == 0) return text;
        if (text.size() > bytes_max) return EFBIG;
    }
}

Result<std::string, int> File::read_line(std::size_t bytes_max) {
    std::string line;
    for (;;) {
        char next = 0;
        ssize_t got = read_some(descriptor_, &next, 1);
        if (got < 0) return errno;
        if (got == 0 || next == '\n') return line;
        if (line.size() == bytes_max) return EFBIG;
        line.push_back(next);
    }
}

}  // namespace entrepot::cli
