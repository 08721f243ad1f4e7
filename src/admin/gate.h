#pragma once
// Who may ask what of the admin listener, and from which page.
//
//   from               /healthz, /readyz   reading           changing
//   Unix socket        anybody             anybody           root, the server's user, members of the socket's group; else the token
//   TCP on loopback    anybody             anybody           the token
//   TCP from elsewhere anybody             the token         the token
//
// Anybody on this machine includes the pages that its browsers show. So the Host must be an address or localhost (a page that made its own name resolve to us, DNS
// rebinding, keeps its name there), unless the token is shown, which no page knows; and what changes something must not carry the Origin of another page.

#include "entrepot/admin/admin_token.h"
#include "entrepot/admin/route.h"

#include "admin/wrong_tokens.h"

#include <optional>

namespace entrepot {

class Gate {
  public:
    /// What of a request decides; copies, since the head is gone while we wait.
    struct Asked {
        Access access;
        std::string host, origin, fetch_site, authorization;
    };

    /// Without a token nobody changes anything over TCP.
    Gate(AdminToken* token, std::optional<gid_t> socket_group) noexcept : token_(token), socket_group_(socket_group) {}

    /// Nothing for who may; else the refusal. Waits for the token's file, and a bounded while before a wrong token is told so. Both arguments outlive the wait.
    Task<std::optional<ApiReply>> refuse(const Asked& asked, const Peer& peer);

  private:
    bool is_trusted(const Peer& peer) const noexcept;
    Task<std::optional<ApiReply>> refuse_token(const Asked& asked, const Peer& peer);

    AdminToken* token_;
    std::optional<gid_t> socket_group_;
    WrongTokens wrong_;
};

/// An address or localhost, with or without a port; or nothing (HTTP/1.0).
bool is_own_host(std::string_view host);

}  // namespace entrepot
