#pragma once
// `/v2/token`: where a client that was challenged comes with its name and password and gets a token for what it is about to pull. GET with Basic credentials or none (the
// distribution project's token protocol), or POST of an OAuth2 password grant (RFC 6749 section 4.3, what containerd does).

#include "registry/call.h"

namespace entrepot {

Task<After> serve_token(Exchange& exchange, Door door);

/// The repositories that `scope` (several separated by blanks) asks to pull: "repository:hub/app:pull,push". Everything else in it is left out.
std::vector<std::string> repositories_in(std::string_view scope);

}  // namespace entrepot
