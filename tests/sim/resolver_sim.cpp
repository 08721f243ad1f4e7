#include "entrepot/net/resolver.h"

#include "world.h"

namespace entrepot {

Result<std::vector<Address>> look_up_addresses(const std::string& host, std::uint16_t port) {
    auto& world = sim::World::current();
    Error unresolved{Fault::upstream, Code::name_unresolved, 0};
    if (world.strikes(world.faults.lookup_failure, "name look-up failed")) return unresolved;
    auto found = world.names.find(host);
    if (found == world.names.end()) return unresolved;
    std::vector<Address> addresses;
    for (const auto& ip : found->second) {
        if (auto address = Address::parse(ip, port)) addresses.push_back(*address);
    }
    if (addresses.empty()) return unresolved;
    return addresses;
}

}  // namespace entrepot
