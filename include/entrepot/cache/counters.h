#pragma once
// What the cache of one shard counted. One writer (the shard), read from any thread by the metrics page.

#include "entrepot/base/counter.h"

namespace entrepot {

struct CacheCounters {
    Counter fetches_stored;    ///< fetches whose digest matched and which were published
    Counter fetches_unstored;  ///< digest matched, but the store refused
    Counter fetches_failed;
    Counter followers;  ///< readers that joined a fetch somebody else had started
    Counter digest_mismatches;
    Counter stale_served;
    Counter resumes;          ///< broken upstream transfers continued with Range
    Counter running_fetches;  ///< gauge
    Counter hot_blobs;        ///< gauge: open descriptors kept
    Counter hot_bytes;        ///< gauge: small bodies kept in memory
};

}  // namespace entrepot
