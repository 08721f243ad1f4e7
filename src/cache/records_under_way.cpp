#include "entrepot/cache/records_under_way.h"

namespace entrepot {

Task<bool> RecordsUnderWay::until_ended(Instant deadline) {
    auto limit = next_;
    while (!running_.empty() && *running_.begin() < limit) {
        bool notified = co_await ended_.wait(deadline);
        if (!notified) co_return false;
    }
    co_return true;
}

}  // namespace entrepot
