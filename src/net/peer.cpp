#include "entrepot/net/peer.h"

#include "entrepot/io/loop.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t groups_max = 65536;  // NGROUPS_MAX of Linux

std::vector<gid_t> groups_of(Ring& ring, int socket) {
    std::vector<gid_t> groups(32);
    for (;;) {
        auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        int error = ring.get_option(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
        if (error == -ERANGE && groups.size() < groups_max) {
            groups.resize(std::min(groups_max, std::max<std::size_t>(length / sizeof(gid_t), groups.size() * 2)));
            continue;
        }
        groups.resize(error < 0 ? 0 : length / sizeof(gid_t));
        return groups;
    }
}

}  // namespace

bool Peer::is_in_group(gid_t wanted) const noexcept {
    return is_unix && (group == wanted || std::find(more_groups.begin(), more_groups.end(), wanted) != more_groups.end());
}

std::string Peer::text() const { return is_unix ? fmt::format("user {}", user) : address.text(); }

Peer identify_peer(int socket) {
    auto& ring = Loop::current().ring();
    Peer peer;
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    if (ring.peer_address(socket, reinterpret_cast<sockaddr*>(&name), &length) < 0) return peer;
    if (name.ss_family != AF_UNIX) {
        if (auto address = Address::from(reinterpret_cast<sockaddr*>(&name), length)) peer.address = *address;
        return peer;
    }
    ucred credentials{};
    length = sizeof credentials;
    if (ring.get_option(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return peer;
    peer.is_unix = true;
    peer.user = credentials.uid;
    peer.group = credentials.gid;
    peer.more_groups = groups_of(ring, socket);
    return peer;
}

}  // namespace entrepot
