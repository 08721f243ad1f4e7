#pragma once
// Reads one HTTP answer from a connection: head, framing, body.

#include "cli/admin_client.h"
#include "cli/admin_connection.h"

#include "entrepot/http/response_head.h"

#include <variant>

namespace entrepot::cli {

class AnswerReader {
  public:
    /// Why there is no answer: errno, or what is wrong with the bytes as a clause ("ended its answer early").
    using Problem = std::variant<int, std::string_view>;

    explicit AnswerReader(AdminConnection& connection) : connection_(connection) {}
    Result<AdminAnswer, Problem> read();

  private:
    Result<bool, Problem> fill();  ///< more bytes behind received_; false at the end of the connection
    Result<void, Problem> read_head(AdminAnswer& answer);
    Result<void, Problem> read_body(std::string& body);
    Result<void, Problem> read_chunks(std::string& body);

    AdminConnection& connection_;
    std::string received_;
    BodyFraming framing_;
};

}  // namespace entrepot::cli
