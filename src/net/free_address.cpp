#include "entrepot/net/free_address.h"

#include "entrepot/base/log.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace entrepot {
namespace {

constexpr auto look_again_after = milliseconds(2);
constexpr Duration said_after = seconds(1);

/// SO_REUSEADDR passes over connections in TIME-WAIT; without SO_REUSEPORT a listening socket is in the way.
bool is_taken(const Address& address) noexcept {
    int probe = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    int one = 1;
    ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool taken = ::bind(probe, address.data(), address.length()) < 0 && errno == EADDRINUSE;
    ::close(probe);
    return taken;
}

}  // namespace

Result<void, std::string> wait_until_free(const Address& address, Duration patience) {
    if (address.port() == 0) return {};
    auto deadline = now() + patience, speak_at = now() + said_after;
    while (is_taken(address)) {
        if (now() >= speak_at) {
            log_info("waiting for {}: another process, or what is left of one, listens there", address.text());
            speak_at = deadline + patience;
        }
        if (now() >= deadline)
            return fmt::format("cannot listen on {}: another process listens there; stop it, or name another address",
                               address.text());
        std::this_thread::sleep_for(look_again_after);
    }
    return {};
}

}  // namespace entrepot
