#pragma once
// Where the fills of a shard wait for their bytes to be hashed. Whoever's turn has come takes the next one along: two SHA-256 streams side by side take three quarters
// of the time that they take one after the other. Who waits alone is hashed at once.
//
//   update() ── joins the line, and the shard's bulk work ── its turn: hashed beside the next in line ── all of it hashed: returns
//                                                                └── hashed to the end beside one that came earlier: its turn costs nothing
//
// A turn hashes no more than turn_bytes in all, so that small requests never wait longer for two streams than for one. Who has more left keeps its place.
// No storage: an entry lives in the frame of its update(), and there are no more than transfer buffers of the shard. Which streams meet depends on the order of
// coming alone, never on the CPU: the simulator's seeds mean the same everywhere. One for each shard, on its thread.

#include "entrepot/base/intrusive_list.h"
#include "entrepot/io/buffer_pool.h"
#include "entrepot/oci/digest.h"

namespace entrepot {

class DigestLine {
  public:
    static constexpr std::size_t turn_bytes = BufferPool::buffer_bytes;

    struct Counts {
        std::uint64_t turns = 0;         ///< in which anything was hashed
        std::uint64_t bytes = 0;         ///< hashed in them
        std::uint64_t paired_bytes = 0;  ///< of those, side by side with another stream
    };

    /// The same as digester.update(bytes), in the stream's turns. Both belong to the line until it returns. It cannot be cancelled: it waits for the shard alone.
    Task<void> update(Digester& digester, Bytes bytes);

    const Counts& counts() const noexcept { return counts_; }

  private:
    struct Entry : ListLink {
        Entry(Digester& to, Bytes what) noexcept : digester(to), bytes(what) {}
        Bytes take(std::size_t count) noexcept;
        Digester& digester;
        Bytes bytes;  // not hashed yet; empty: no longer in the line
    };

    void take_turn(Entry& mine) noexcept;
    void hash(Entry& mine, std::size_t& left) noexcept;

    IntrusiveList<Entry> waiting_;
    Counts counts_;
};

}  // namespace entrepot
