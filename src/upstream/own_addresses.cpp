#include "upstream/own_addresses.h"

#include <ifaddrs.h>

#include <algorithm>
#include <memory>

namespace entrepot {
namespace {

constexpr std::string_view mapped_prefix = "::ffff:";

/// An IPv4 address behind its IPv6 disguise: the kernel connects to the same place.
Address unmapped(const Address& address) {
    auto text = address.ip_text();
    if (!text.starts_with(mapped_prefix)) return address;
    return Address::parse(std::string_view(text).substr(mapped_prefix.size()), address.port()).value_or(address);
}

/// Connecting to the unspecified address reaches this machine.
bool is_everywhere(const Address& address) {
    auto text = address.ip_text();
    return text == "0.0.0.0" || text == "::";
}

std::vector<Address> addresses_of_machine(std::uint16_t port) {
    ifaddrs* raw = nullptr;
    if (::getifaddrs(&raw) != 0) return {};
    std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> list(raw, &::freeifaddrs);
    std::vector<Address> result;
    for (auto* entry = list.get(); entry; entry = entry->ifa_next) {
        bool is_v4 = entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET;
        bool is_v6 = entry->ifa_addr && entry->ifa_addr->sa_family == AF_INET6;
        if (!is_v4 && !is_v6) continue;
        auto address = Address::from(entry->ifa_addr, is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        if (address) result.push_back(address->with_port(port));
    }
    return result;
}

}  // namespace

bool OwnAddresses::add(std::string_view listener) {
    auto address = Address::parse_with_port(listener);
    if (!address) return false;
    addresses_.push_back(unmapped(*address));
    if (!is_everywhere(*address)) return true;
    ports_everywhere_.push_back(address->port());
    for (auto& each : addresses_of_machine(address->port())) addresses_.push_back(each);
    return true;
}

bool OwnAddresses::contains(const Address& given) const noexcept {
    auto address = unmapped(given);
    if (std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end()) return true;
    bool stays_here = address.is_loopback() || is_everywhere(address);
    if (!stays_here) return false;
    if (std::find(ports_everywhere_.begin(), ports_everywhere_.end(), address.port()) != ports_everywhere_.end()) return true;
    return is_everywhere(address) && std::any_of(addresses_.begin(), addresses_.end(), [&](const Address& own) {
               return own.is_loopback() && own.port() == address.port();
           });
}

}  // namespace entrepot
