#pragma once
// Makes guessing slow without shutting anybody out: each wrong token of a source is answered later than the one before, and only so many of a source wait at a time. A right
// token is never held up, so nobody can lock out another by guessing in his place.

#include "entrepot/base/clock.h"
#include "entrepot/io/task.h"
#include "entrepot/net/peer.h"

#include <cstddef>
#include <map>
#include <string>

namespace entrepot {

class WrongTokens {
  public:
    static constexpr std::size_t sources_max = 1024;  ///< beyond it the one that was longest quiet is forgotten
    static constexpr std::size_t waiting_max = 32;    ///< of all sources: a fourth of the listener's connections
    static constexpr std::size_t waiting_of_source_max = 4;
    static constexpr Duration wait_first = std::chrono::milliseconds(50);
    static constexpr Duration wait_longest = std::chrono::seconds(1);
    static constexpr Duration forgotten_after = std::chrono::minutes(10);

    /// A wrong token came from there. Waits as long as that deserves; false, at once, when too many wait already.
    Task<bool> wait(Peer peer);
    std::size_t sources() const noexcept { return sources_.size(); }

  private:
    struct Source {
        unsigned wrong = 0;
        std::size_t waiting = 0;
        Instant last{};
    };
    Source& source_of(const std::string& name, Instant time);
    void forget_one();
    void complain(const Peer& peer, const Source& source, Instant time);

    std::map<std::string, Source> sources_;
    std::size_t waiting_ = 0;
    Instant quiet_until_{};
};

}  // namespace entrepot
