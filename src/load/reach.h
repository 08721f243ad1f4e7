#pragma once
// Where this run may go: the servers of its targets, and the hosts that --follow names for redirects and token realms. Nothing
// else is ever connected to. Names are looked up once, before the load, so that a resolver is no part of what is measured.
// Immutable while the load runs.

#include "entrepot/base/result.h"
#include "entrepot/http/url.h"
#include "entrepot/net/address.h"

#include <string>
#include <string_view>
#include <vector>

namespace entrepot::load {

class Reach {
  public:
    /// May block in the resolver. The error is one line.
    Result<void, std::string> add_server(const Origin& origin);
    /// "HOST" with any port, or "HOST:PORT".
    Result<void, std::string> add_follow(std::string_view host);

    /// The addresses behind an origin, its port not yet set; null when the user did not name it.
    const std::vector<Address>* addresses_of(const Origin& origin) const noexcept;

  private:
    struct Place {
        std::string host;
        std::uint16_t port = 0;  // 0: any
        std::vector<Address> addresses;
    };
    Result<void, std::string> add(const std::string& host, std::uint16_t port);

    std::vector<Place> places_;
};

}  // namespace entrepot::load
