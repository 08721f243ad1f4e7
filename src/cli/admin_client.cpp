#include "cli/admin_client.h"

#include "entrepot/http/head_writer.h"

#include "cli/admin_connection.h"
#include "cli/answer_reader.h"
#include "cli/listener_owner.h"

#include <cerrno>
#include <cstring>

namespace entrepot::cli {
namespace {

constexpr std::size_t head_bytes_max = 32 * 1024;

bool is_change(Method method) { return method != Method::get && method != Method::head; }

std::string reason_of_errno(int problem) {
    if (problem == EHOSTUNREACH) return "no such host, or no way to it";
    return problem == ETIMEDOUT ? "no answer in time" : std::strerror(problem);
}

}  // namespace

AdminClient::AdminClient(std::vector<AdminAddress> addresses, AdminToken token, Duration timeout)
    : addresses_(std::move(addresses)), token_(std::move(token)), timeout_(timeout) {
    ASSERT(!addresses_.empty());
}

std::string AdminClient::server() const { return addresses_.front().text(); }

Outcome<AdminConnection> AdminClient::connect() {
    const Instant deadline = now() + timeout_;
    std::string tried;
    for (const auto& address : addresses_) {
        auto connection = AdminConnection::connect(address, deadline);
        if (connection) {
            addresses_ = {AdminAddress(address)};
            return std::move(*connection);
        }
        if (!tried.empty()) tried += "; ";
        tried += fmt::format("{}: {}", address.text(), reason_of_errno(connection.error()));
    }
    return failed("no server answers ({}); start one with 'entrepot serve', or name its admin address with -r or ENTREPOT_ADMIN",
                  tried);
}

bool AdminClient::may_send_token(const AdminConnection& connection) {
    // Over a socket the server looks at who we are; whom that does not help may name a token.
    if (addresses_.front().is_unix()) return !token_.value.empty() && !token_.of_this_box;
    why_no_token_ = token_.why_none;
    if (token_.value.empty()) return false;
    if (!token_.of_this_box) return true;
    if (!connection.is_local()) {
        why_no_token_ = "the token of this machine's own server is not sent to another machine";
        return false;
    }
    const auto port = addresses_.front().port;
    if (listeners_belong_to(port, token_.owner)) return true;
    why_no_token_ = fmt::format("who listens on port {} is neither root nor the owner of the token", port);
    return false;
}

Outcome<std::string> AdminClient::head_of(const AdminRequest& request, const AdminConnection& connection) {
    std::string space(head_bytes_max, '\0');
    HeadWriter writer(space);
    writer.request_line(request.method, request.target)
        .field("Host", connection.host())
        .field("User-Agent", "entrepot/0.1.0")
        .field("Accept", "application/json")
        .field("Connection", "close");
    if (may_send_token(connection)) writer.field("Authorization", "Bearer " + token_.value);
    if (!request.condition.empty()) writer.field(request.condition, request.condition_on);
    if (!request.body.empty()) writer.field("Content-Type", "application/json");
    if (is_change(request.method)) writer.field("Content-Length", request.body.size());
    auto head = writer.finish();
    if (!head)
        return misused("the request is longer than a request may be ({} bytes): a name or an address is too long",
                       head_bytes_max);
    return std::string(*head);
}

Failure AdminClient::lost(int problem, const AdminRequest& request) const {
    const auto reason = problem == ETIMEDOUT ? fmt::format("{} did not answer within {} s", server(),
                                                           std::chrono::duration_cast<seconds>(timeout_).count())
                                             : fmt::format("the connection to {} broke: {}", server(), std::strerror(problem));
    if (!is_change(request.method)) return failed("{}; try again", reason);
    return failed("{}; whether the change was made is not known: look before you repeat it", reason);
}

Outcome<AdminAnswer> AdminClient::exchange(const AdminRequest& request) {
    auto connection = connect();
    if (!connection) return connection.error();
    auto head = head_of(request, *connection);
    if (!head) return head.error();
    auto sent = connection->send(*head);
    if (sent) sent = connection->send(request.body);
    // A server that refuses a long body may answer and close before it has read all of it: its answer says more than our EPIPE.
    auto answer = AnswerReader(*connection).read();
    if (answer) return std::move(*answer);
    if (!sent) return lost(sent.error(), request);
    if (const int* problem = std::get_if<int>(&answer.error())) return lost(*problem, request);
    const auto clause = std::get<std::string_view>(answer.error());
    if (!is_change(request.method)) return failed("{} {}; is {} its admin address?", server(), clause, server());
    return failed("{} {}; whether the change was made is not known: look before you repeat it", server(), clause);
}

}  // namespace entrepot::cli
