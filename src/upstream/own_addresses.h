#pragma once
// Where this server itself can be reached, so that no upstream, redirect or realm makes it ask itself.

#include "entrepot/net/address.h"

#include <string_view>
#include <vector>

namespace entrepot {

class OwnAddresses {
  public:
    /// "127.0.0.1:5000". A listener on every address ("0.0.0.0:5000", "[::]:5000") is known by each address that the machine
    /// has now. False: no address.
    bool add(std::string_view listener);
    bool contains(const Address& address) const noexcept;

  private:
    std::vector<Address> addresses_;
    std::vector<std::uint16_t> ports_everywhere_;
};

}  // namespace entrepot
