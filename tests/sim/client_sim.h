#pragma once
// Simulated clients and the judge of what they are answered. A client asks for things of the catalogue in one of the styles real clients use, on connections that it
// keeps, pipelines, reads slowly, half closes or drops in the middle; the judge compares every answer with the catalogue and stops the run at the first lie.

#include "catalogue.h"
#include "wire.h"
#include "world.h"

#include <optional>
#include <string>
#include <vector>

namespace entrepot::sim {

/// One request, and what the truth about it is.
struct Ask {
    enum class What { version, blob, manifest, tag, unknown_blob, bad_digest, push, tags_list, referrers, catalog };
    What what = What::version;
    std::string method = "GET";
    std::string repository, reference;
    std::string target;
    std::string extra_fields;
    std::optional<std::uint64_t> first, last;  ///< Range: bytes=first-last; only `last`: a suffix
    bool if_none_match = false;
    const Content* content = nullptr;  ///< for blobs and manifests by digest

    bool head_only() const { return method == "HEAD"; }
    std::string text(bool keep_alive) const;
};

struct Answer {
    int status = 0;  ///< 0: the connection ended before a whole head came
    Head head;
    std::string body;
    bool complete = false;  ///< everything the head promised came
    bool left = false;      ///< the client itself went away
    bool timed_out = false;
};

/// What a run may have suffered, which decides what answers are excusable.
struct Excuses {
    bool upstream = false;    ///< an upstream or the network towards it may fail: 502 and friends, short bodies
    bool connection = false;  ///< client connections may break
    bool silence = false;     ///< and may stop without an end
    bool corruption = false;  ///< upstream may send wrong bytes: ranges of an unverified blob may be wrong
};

class Judge {
  public:
    Judge(World& world, const Catalogue& catalogue, const Excuses& excuses)
        : world_(world), catalogue_(catalogue), excuses_(excuses) {}
    void judge(const Ask& ask, const Answer& answer);

  private:
    void fail(const Ask& ask, const Answer& answer, const std::string& why) const;
    void judge_incomplete(const Ask& ask, const Answer& answer) const;
    void judge_status(const Ask& ask, const Answer& answer) const;
    void judge_content(const Ask& ask, const Answer& answer) const;
    void judge_list(const Ask& ask, const Answer& answer) const;
    void judge_part(const Ask& ask, const Answer& answer) const;
    const Content* content_of(const Ask& ask, const Answer& answer) const;

    World& world_;
    const Catalogue& catalogue_;
    Excuses excuses_;
};

struct ClientOptions {
    unsigned clients = 8;
    unsigned requests_max = 12;  ///< of one client
    Name server;
    std::string client_secret;
    double leaves = 0;     ///< per request: drops the connection in the middle of the body
    double slow = 0;       ///< per client
    double pipelines = 0;  ///< per request: sends the next one before this is answered
    double herd = 0;       ///< per run: every client wants the same blob first
};

class SimClients {
  public:
    SimClients(World& world, Catalogue& catalogue, Judge& judge, const ClientOptions& options);
    void start();
    bool done() const { return clients_.running() == 0; }
    std::uint64_t answers() const { return answers_; }
    std::uint64_t complete() const { return complete_; }

  private:
    struct Manner {
        std::string style;  // how the repository is named
        bool slow = false;
    };
    Task<void> run(unsigned number);
    Task<void> converse(Wire& wire, Random& random, const Manner& manner, unsigned& left);
    Task<Answer> read_answer(Wire& wire, const Ask& ask, Random& random, const Manner& manner);
    Task<void> read_length(Wire& wire, Answer& answer, std::uint64_t length, std::uint64_t leave_after, Random& random,
                           const Manner& manner);
    Task<void> read_chunks(Wire& wire, Answer& answer);
    Ask draw_ask(Random& random, const Manner& manner, bool first);
    void draw_range(Ask& ask, Random& random) const;

    World& world_;
    Catalogue& catalogue_;
    Judge& judge_;
    ClientOptions options_;
    Random random_;
    std::string herd_blob_, herd_repository_;
    TaskGroup clients_;
    std::uint64_t answers_ = 0, complete_ = 0;
};

}  // namespace entrepot::sim
