#include "entrepot/shard/descriptors.h"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace entrepot;

TEST_CASE("descriptors: what all shards may hold together stays within the limit") {
    for (std::size_t limit : {1024u, 4096u, 20'000u, 65'536u, 524'288u, 1'048'576u}) {
        for (std::size_t shards : {1u, 2u, 8u, 128u}) {
            CAPTURE(limit);
            CAPTURE(shards);
            auto share = share_descriptors(limit, shards);
            if ((limit - 512) / shards < 512) continue;  // the least of everything is more than there is
            CHECK(shards * (share.connections_max + share.open_blobs_max) < limit - 512);
        }
    }
}

TEST_CASE("descriptors: 20,000 of them hold 10,000 clients, on one shard and on two") {
    CHECK(share_descriptors(20'000, 1).connections_max >= 10'000);
    CHECK(2 * share_descriptors(20'000, 2).connections_max >= 10'000);
    CHECK(share_descriptors(20'000, 1).open_blobs_max == 4096);
}

TEST_CASE("descriptors: a limit that is too low leaves the least of each") {
    auto share = share_descriptors(256, 4);
    CHECK(share.connections_max == 64);
    CHECK(share.open_blobs_max == 64);
}
