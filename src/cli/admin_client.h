#pragma once
// Requests to the admin listener and their answers: HTTP/1.1 in plain, one connection each, on the project's own parsers. Everything
// has a bound, since whatever listens there need not be an entrepot.

#include "cli/admin_address.h"
#include "cli/admin_token.h"

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"
#include "entrepot/http/method.h"

#include <string>
#include <vector>

namespace entrepot::cli {

class AdminConnection;

struct AdminRequest {
    Method method = Method::get;
    std::string target;             ///< begins with '/'; escaped by the caller
    std::string body;               ///< JSON; empty: none
    std::string condition = {};     ///< "If-Match" or "If-None-Match"; empty: none
    std::string condition_on = {};  ///< with quotes, or "*"
};

struct AdminAnswer {
    std::uint16_t status = 0;
    std::string content_type;
    std::string etag;
    std::string body;
};

class AdminClient {
  public:
    /// An export of 100,000 rules is about 80 MB.
    static constexpr std::size_t answer_bytes_max = 512 * MiB;
    static constexpr int interim_answers_max = 8;

    /// `timeout` is for one request from connecting to the last byte.
    AdminClient(std::vector<AdminAddress> addresses, AdminToken token, Duration timeout);

    /// The first address that takes a connection is kept for all later requests. Changing requests are sent once and never again by
    /// themselves.
    Outcome<AdminAnswer> exchange(const AdminRequest& request);

    /// Where answers come from: "127.0.0.1:5001". Only after an exchange.
    std::string server() const;
    /// A clause that explains a refusal: why no token was sent. Empty when one was sent, or over a socket.
    const std::string& why_no_token() const noexcept { return why_no_token_; }

  private:
    Outcome<AdminConnection> connect();
    bool may_send_token(const AdminConnection& connection);
    Outcome<std::string> head_of(const AdminRequest& request, const AdminConnection& connection);
    Failure lost(int problem, const AdminRequest& request) const;

    std::vector<AdminAddress> addresses_;
    AdminToken token_;
    Duration timeout_;
    std::string why_no_token_;
};

}  // namespace entrepot::cli
