#pragma once
// A simulated upstream: an HTTP/1.1 registry over a Catalogue with a token server and a content host that redirects lead to, each as good or as bad as the seed wants.
// It also watches: what must never leave the program (a client's header, a token on the way to another host) stops the run, and it counts GETs per digest.

#include "catalogue.h"
#include "wire.h"
#include "world.h"

#include <map>
#include <memory>
#include <string>

namespace entrepot::sim {

/// Probabilities per answer.
struct UpstreamFaults {
    double cut = 0;  ///< ordered end in the middle of the body
    double reset = 0;
    double corrupt = 0;        ///< one bit of the body is wrong
    double promises_more = 0;  ///< Content-Length too large
    double sends_less = 0;     ///< Content-Length too small, and consistent with the body
    double stall = 0;          ///< nothing more after some of the body
    double hang = 0;           ///< no answer
    double server_error = 0;
    double too_many = 0;
    double garbage = 0;  ///< no HTTP at all
    double wrong_digest_header = 0;
    // No faults, but harder:
    double slow = 0;
    double chunked = 0;
    double until_close = 0;  ///< neither length nor chunks
    double scarce = 0;       ///< of a manifest: little or nothing is left of the rate limit, it says
    double ignores_range = 0;
    bool tokens = false;
    bool redirects = false;

    static UpstreamFaults draw(Random& random, bool harmful);
    bool harmful() const;
};

class SimRegistry {
  public:
    static constexpr const char* login_server = "registry.sim";
    static constexpr const char* client_secret =
        "x-client-secret";  ///< a header of clients that nobody behind the program may see

    /// GETs of one digest, whatever name it was asked by.
    struct Traffic {
        unsigned gets = 0;     ///< answered from the first byte on
        unsigned resumes = 0;  ///< answered from a later one
        unsigned heads = 0;
        unsigned delivered = 0;  ///< handed to the network whole and right
        unsigned spoiled = 0;    ///< every other way an answer ended
        unsigned running = 0, running_max = 0;
    };

    SimRegistry(World& world, Catalogue& catalogue, const UpstreamFaults& faults);
    void stop();
    Task<void> close();

    const std::map<std::string, Traffic>& traffic() const { return traffic_; }
    const UpstreamFaults& faults() const { return faults_; }

  private:
    enum class Host { registry, tokens, contents };
    struct Site {
        SimRegistry& registry;
        Host host;
    };
    enum class Deed { right, cut, reset, corrupt, promises_more, sends_less, stall };
    struct Body {
        std::string head, bytes;
        bool chunked = false, closes = false;
        Deed deed = Deed::right;
        Traffic* traffic = nullptr;
        std::uint64_t total = 0;
    };

    static Task<void> serve(void* context, std::unique_ptr<Wire> wire);
    Task<bool> answer(Host host, Wire& wire, std::string method, std::string target, Head head);
    Task<bool> answer_token(Wire& wire, const Head& head);
    Task<bool> answer_registry(Wire& wire, const std::string& method, const std::string& target, const Head& head);
    Task<bool> answer_content(Wire& wire, const std::string& method, const Content& content, const Head& head);
    Task<bool> answer_tags(Wire& wire, const Repository& repository, bool with_body);
    Task<bool> answer_status(Wire& wire, int status, std::string extra_fields, bool with_body);
    Task<bool> send_body(Wire& wire, Body body);
    Task<bool> send_pieces(Wire& wire, std::string_view bytes, bool chunked);
    void check_request(Host host, const Head& head) const;
    const Content* find_content(const Repository& repository, std::string_view kind, const std::string& reference) const;
    Deed draw_deed();

    World& world_;
    Catalogue& catalogue_;
    UpstreamFaults faults_;
    Random random_;
    std::map<std::string, Traffic> traffic_;
    Site sites_[3];
    std::unique_ptr<Server> servers_[3];
};

}  // namespace entrepot::sim
