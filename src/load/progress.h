#pragma once
// What is going on while it goes on, on standard error: one line that is rewritten on a terminal, a line now and then elsewhere.

#include "load/live.h"

#include "entrepot/base/clock.h"

#include <string>
#include <vector>

namespace entrepot::load {

class Progress {
  public:
    /// `quiet`: says nothing. `lives` outlive this.
    Progress(bool quiet, std::vector<const Live*> lives);
    /// Looks whether it is time for a line. `length` is the expected whole; zero when nobody knows.
    void tell(Duration elapsed, Duration length);
    /// Clears the line of a terminal.
    void end();

  private:
    struct Sum {
        std::uint64_t requests = 0, errors = 0, bytes = 0;
    };
    Sum sum() const noexcept;
    std::string line(Duration elapsed, Duration length, const Sum& all) const;

    std::vector<const Live*> lives_;
    bool quiet_, terminal_;
    Instant next_{}, last_{};
    Sum before_;
    bool shown_ = false;
};

}  // namespace entrepot::load
