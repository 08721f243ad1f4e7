#include "load/reach.h"

#include "entrepot/net/resolver.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::load {

Result<void, std::string> Reach::add(const std::string& host, std::uint16_t port) {
    for (const auto& place : places_)
        if (place.host == host && place.port == port) return {};
    Place place{host, port, {}};
    if (auto literal = Address::parse(host, 0)) {
        place.addresses.push_back(*literal);
    } else {
        auto found = look_up_addresses(host, port);
        if (!found) return fmt::format("{} has no address: check the name and this machine's resolver", host);
        place.addresses = std::move(*found);
    }
    places_.push_back(std::move(place));
    return {};
}

Result<void, std::string> Reach::add_server(const Origin& origin) { return add(origin.host, origin.port); }

Result<void, std::string> Reach::add_follow(std::string_view host) {
    auto origin = parse_authority("http", host);
    if (!origin) return fmt::format("--follow takes HOST or HOST:PORT, not '{}'", host);
    auto closing = host.rfind(']');
    bool with_port = host.find(':', closing == host.npos ? 0 : closing) != host.npos;
    return add(origin->host, with_port ? origin->port : 0);
}

const std::vector<Address>* Reach::addresses_of(const Origin& origin) const noexcept {
    for (const auto& place : places_)
        if (place.host == origin.host && (place.port == 0 || place.port == origin.port)) return &place.addresses;
    return nullptr;
}

}  // namespace entrepot::load
