#pragma once
// One client machine: it keeps connections as its client does, logs in where it is asked to, follows redirects where it may,
// and writes down what came of it. Nodes of one worker share its Crew.

#include "load/connection.h"
#include "load/dialer.h"
#include "load/login.h"
#include "load/plan.h"

#include "entrepot/io/await.h"

#include <memory>
#include <vector>

namespace entrepot::load {

/// What the nodes of one worker share.
struct Crew {
    const Plan& plan;
    Dialer& dialer;
    Tally& tally;
    Live& live;
    std::size_t kept_max = 4;          ///< connections that a node keeps between requests
    std::uint64_t slow_reader = 0;     ///< bytes a second that a body is read with; 0: as they come
    IntrusiveList<Connection> open{};  ///< every connection, so that all of them can be interrupted
    Condition over{};                  ///< notified when the time is over
    bool is_over = false;
    bool counts_unfinished = true;  ///< once it is over: whether what ends then is an error
};

/// One thing to ask for.
struct Ask {
    Kind kind = Kind::url;
    const Url* url = nullptr;
    std::string_view lines;    ///< request line and fields, without the empty line
    std::string_view range{};  ///< "Range: bytes=100-\r\n", or empty
    bool is_head = false;
    Login* login = nullptr;    ///< null: a 401 is a status like others
    std::string_view scope{};  ///< of a token, when the challenge names none
};

/// What came back, when it came whole.
struct Got {
    std::uint16_t status = 0;
    Instant head_at, ended_at;
    std::string content_digest;  ///< of manifests, and of URLs that are verified
};

/// Why nothing whole came back.
struct Failed {
    Trouble trouble = Trouble::refused;
    std::uint16_t status = 0;
};

/// What a question learned on its way: where a redirect led, and the answer to a challenge.
struct Detour {
    Url place;
    std::string authorization;
    std::string lines{};  ///< of a redirected request
    int redirects = 0;
    bool answered_challenge = false;  ///< one answer to one question, and none elsewhere
};

class Node {
  public:
    Node(Crew& crew, bool verifies) noexcept : crew_(crew), login_(crew.plan), verifies_(verifies) {}

    /// Opens a connection that the next request will use. If that fails the next request tries again, and tells.
    Task<void> connect_ahead(const Origin& origin);
    /// One URL. `expected` is a status of 400 or more that would be no error, or 0. False when it failed.
    Task<bool> get(const Target& target, std::string_view lines, Instant due, bool is_head, std::uint16_t expected);
    /// Asks, and takes the whole body. Success is not written down yet, and neither is failure: the caller knows what it meant.
    Task<Result<Got, Failed>> fetch(const Ask& ask, Body& body);
    /// A connection with the head of an answer, asked again once when a kept connection turns out to have ended.
    Task<Result<std::unique_ptr<Connection>, Trouble>> ask(const Origin& origin, std::string_view lines, std::string_view rest,
                                                           bool is_head);
    /// Keeps it for the next request or closes it.
    Task<void> done_with(std::unique_ptr<Connection> connection);
    /// Forgets kept connections.
    Task<void> close();

    /// Writes down a success, or an error. An error when the time is over is one that was not finished, if that counts.
    void note(const Ask& ask, const Got& got, const Body& body, Instant due);
    void note(const Failed& failed);

    Crew& crew() noexcept { return crew_; }
    bool verifies() const noexcept { return verifies_; }

  private:
    Task<Result<std::unique_ptr<Connection>, Trouble>> connection_to(const Origin& origin);
    Task<Result<Got, Failed>> finish(std::unique_ptr<Connection> connection, const Ask& ask, Body& body);
    Task<std::optional<Failed>> step_aside(std::unique_ptr<Connection> connection, const Ask& ask, Detour& detour);
    bool check_body(const Target& target, const Got& got, const Body& body);

    Crew& crew_;
    Login login_;
    bool verifies_;
    std::vector<std::unique_ptr<Connection>> kept_;
};

}  // namespace entrepot::load
