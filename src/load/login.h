#pragma once
// Answers a 401: Basic, or a Bearer token from the realm that the challenge names, anonymous when there are no credentials.
// Credentials go to the server that the user named and to realms that --follow names, nowhere else.

#include "entrepot/http/challenge.h"
#include "entrepot/http/url.h"
#include "entrepot/io/task.h"
#include "load/plan.h"
#include "load/tally.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::load {

class Node;

class Login {
  public:
    explicit Login(const Plan& plan) noexcept : plan_(plan) {}

    /// "Authorization: ...\r\n", or nothing yet.
    const std::string& line() const noexcept { return line_; }
    /// For the challenges of `asked`; `scope` stands in where they name none. Nothing when line() is worth another try.
    Task<std::optional<Trouble>> answer(Node& node, const Origin& asked, std::vector<Challenge> challenges,
                                        std::string_view scope);

  private:
    std::string basic() const;
    Task<std::optional<Trouble>> fetch_token(Node& node, Url url);
    Task<std::optional<Trouble>> read_token(Node& node, const Url& url, std::string lines, std::string rest);

    const Plan& plan_;
    std::string line_;
};

}  // namespace entrepot::load
