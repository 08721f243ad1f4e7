#include "net/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace entrepot {
namespace {

constexpr mode_t directory_mode = 0755;
// After kill -9 the kernel ends a ring in the background, and until then its accept keeps the listening socket alive (include/entrepot/net/free_address.h).
constexpr int probes_max = 40;
constexpr auto probe_interval = std::chrono::milliseconds(25);
constexpr mode_t private_mode = 0600, socket_mode = 0660;

/// Closes on every way out.
class Descriptor {
  public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    explicit operator bool() const noexcept { return number_ >= 0; }
    int get() const noexcept { return number_; }
    int release() noexcept { return std::exchange(number_, -1); }

  private:
    int number_;
};

std::string failure(const std::string& path, std::string_view why) {
    return fmt::format("cannot listen on unix:{}: {}", path, why);
}
std::string failure(const std::string& path, std::string_view what, int error) {
    return failure(path, fmt::format("{}: {}", what, std::strerror(error)));
}

bool fill(sockaddr_un& name, const std::string& path) {
    if (path.size() >= sizeof name.sun_path) return false;
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    return true;
}

/// The directory, locked against another server that is doing the same: between bind and listen a live socket looks dead.
Result<int, std::string> open_parent(const std::string& path) {
    auto parent = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    if (::mkdir(parent.c_str(), directory_mode) < 0 && errno != EEXIST)
        return failure(path, fmt::format("cannot make {}", parent), errno);
    Descriptor directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return failure(path, fmt::format("cannot open {}", parent), errno);
    struct ::stat status {};
    if (::fstat(directory.get(), &status) < 0) return failure(path, parent, errno);
    if ((status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
        return failure(path, fmt::format("everybody may replace files in {} (chmod o-w)", parent));
    if (::flock(directory.get(), LOCK_EX | LOCK_NB) < 0)
        return failure(path, fmt::format("another server is starting in {}", parent));
    return directory.release();
}

/// 0 when somebody listens there, else the errno.
int probe(const sockaddr_un& name) {
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return errno;
    int error = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) < 0 ? errno : 0;
    return error == EAGAIN ? 0 : error;  // his backlog is full
}

/// Removes what a dead server left. Whatever else has the name stays.
Result<void, std::string> clear_name(const std::string& path, const sockaddr_un& name) {
    struct ::stat status {};
    if (::lstat(path.c_str(), &status) < 0) {
        if (errno == ENOENT) return {};
        return failure(path, "cannot look at it", errno);
    }
    if (!S_ISSOCK(status.st_mode)) return failure(path, "something that is no socket has this name");
    int error = probe(name);
    for (int i = 0; error == 0 && i < probes_max; ++i) {
        std::this_thread::sleep_for(probe_interval);
        error = probe(name);
    }
    if (error == 0) return failure(path, "another server is listening there");
    if (error != ECONNREFUSED) return failure(path, "a socket of another server may be there", error);
    if (::unlink(path.c_str()) < 0) return failure(path, "cannot remove the socket of a server that has ended", errno);
    return {};
}

}  // namespace

Result<UnixSocket, std::string> open_unix_socket(const std::string& path, std::optional<gid_t> group, int backlog) {
    sockaddr_un name{};
    if (!fill(name, path)) return failure(path, "the path is too long");
    auto parent = open_parent(path);
    if (!parent) return parent.error();
    Descriptor directory(*parent);
    auto cleared = clear_name(path, name);
    if (!cleared) return cleared.error();

    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return failure(path, "no socket", errno);
    // A socket's own mode becomes that of its name: there is no moment in which the process's umask decides.
    if (::fchmod(socket.get(), private_mode) < 0) return failure(path, "chmod", errno);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) < 0) return failure(path, "bind", errno);
    UnixSocket opened{.descriptor = -1, .path = path};
    struct ::stat status {};
    int error = ::lstat(path.c_str(), &status) < 0 ? errno : 0;
    opened.device = status.st_dev;
    opened.inode = status.st_ino;
    if (!error && group && ::lchown(path.c_str(), static_cast<uid_t>(-1), *group) < 0) error = errno;
    if (!error && ::chmod(path.c_str(), socket_mode) < 0) error = errno;
    if (!error && ::listen(socket.get(), backlog) < 0) error = errno;
    if (error) {
        remove_unix_socket(opened);
        return failure(path, "cannot set its group or mode", error);
    }
    opened.descriptor = socket.release();
    return opened;
}

void remove_unix_socket(const UnixSocket& socket) noexcept {
    struct ::stat status {};
    bool ours = ::lstat(socket.path.c_str(), &status) == 0 && status.st_dev == socket.device && status.st_ino == socket.inode;
    if (ours) ::unlink(socket.path.c_str());
}

}  // namespace entrepot
