#pragma once
// What clients were answered already and the ledger does not know yet: nobody who pulls waits for the disk. Whoever has to find all of it in the ledger, a purge, waits for what
// was under way when he came. One of these a shard, touched on its loop only.

#include "entrepot/io/await.h"
#include "entrepot/io/task.h"

#include <cstdint>
#include <set>

namespace entrepot {

class RecordsUnderWay {
  public:
    /// Under way as long as this lives: from before the answer leaves until the ledger has what it said, or has refused it.
    class One {
      public:
        explicit One(RecordsUnderWay& all) : all_(all), number_(all.next_++) {
            all_.running_.insert(all_.running_.end(), number_);
        }
        One(const One&) = delete;
        One& operator=(const One&) = delete;
        ~One() {
            all_.running_.erase(number_);
            all_.ended_.notify_all();
        }

      private:
        RecordsUnderWay& all_;
        std::uint64_t number_;
    };

    /// Until all that are under way now have ended, whatever begins meanwhile; false when the deadline passes first.
    Task<bool> until_ended(Instant deadline);

  private:
    std::uint64_t next_ = 0;
    std::set<std::uint64_t> running_;  // no more than there are fetches, manifests and tags in flight
    Condition ended_;
};

}  // namespace entrepot
