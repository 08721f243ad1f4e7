// The resolver's seam as the system answers it: getaddrinfo, with /etc/hosts and whatever else nsswitch.conf names.

#include "entrepot/net/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

namespace entrepot {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressList ask(const std::string& host, int flags, int& error) {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = flags;
    addrinfo* found = nullptr;
    error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
    return {error == 0 ? found : nullptr, &::freeaddrinfo};
}

}  // namespace

Result<std::vector<Address>> look_up_addresses(const std::string& host, std::uint16_t port) {
    int error = 0;
    auto found = ask(host, AI_ADDRCONFIG, error);
    // A machine (or container) with loopback alone has no address that AI_ADDRCONFIG counts, and "localhost" would not be found.
    if (error == EAI_ADDRFAMILY) found = ask(host, 0, error);
    std::vector<Address> addresses;
    for (auto* entry = found.get(); entry && addresses.size() < Resolver::addresses_max; entry = entry->ai_next) {
        auto address = Address::from(entry->ai_addr, entry->ai_addrlen);
        if (!address) continue;
        auto complete = address->with_port(port);
        if (std::find(addresses.begin(), addresses.end(), complete) == addresses.end()) addresses.push_back(complete);
    }
    if (addresses.empty()) return Error{Fault::upstream, Code::name_unresolved, error == EAI_SYSTEM ? errno : 0};
    return addresses;
}

}  // namespace entrepot
