#pragma once
// A simulated file system and what a power cut leaves of it. Reads see `data`; a crash keeps only what was made durable:
//
//   bytes        by data_sync or sync of the file that succeeded. Of unsynced 4 KiB pages each is kept, lost or torn (at 512-byte sectors) on its own,
//                and the size may be the old or the new one.
//   names        by sync of a directory. Creations, renames and unlinks that were not synced may each have happened or not; those of one file keep
//                their order, those of different files do not (the weakest file system of ALICE, OSDI'14, that still renames atomically).
//   failed sync  the pages look clean afterwards though they are not durable ("Can applications recover from fsync failures?", ATC'20): a second sync
//                succeeds without having written them.
//
// Single-threaded, no delays and no errors of its own beyond those of the calls: the ring draws these.

#include "entrepot/base/bytes.h"
#include "random.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::sim {

constexpr std::uint64_t page_bytes = 4096;

struct Page {
    bool resident = false;
    bool dirty = false;   ///< newer than the durable bytes, and a sync will write it
    bool lost = false;    ///< newer than the durable bytes, and no sync will write it
    bool coming = false;  ///< read ahead: in memory by count, but the disk still owes its bytes
};

struct Inode;
using InodeRef = std::shared_ptr<Inode>;
using Entries = std::map<std::string, InodeRef, std::less<>>;

struct Inode {
    std::uint64_t number = 0;
    bool is_directory = false;
    std::uint32_t mode = 0;
    unsigned links = 0;
    unsigned opens = 0;

    std::string data, durable;
    std::vector<Page> pages;
    std::uint64_t allocated = 0;
    bool sync_failed = false;  ///< since it was last empty: nobody may hope that another sync makes it durable

    Entries entries, durable_entries;

    /// By count (`closely`: not counting what is still coming).
    bool resident(std::uint64_t offset, std::uint64_t length, bool closely) const;
    bool coming(std::uint64_t offset, std::uint64_t length) const;
};

class Disk {
  public:
    Disk(std::string name, std::uint64_t capacity);

    const std::string& name() const { return name_; }
    const InodeRef& root() const { return root_; }
    std::uint64_t capacity() const { return capacity_; }
    std::uint64_t used() const { return used_; }

    /// As after `mount -o remount,ro`, or after an error that the file system found: the ring refuses whatever would change it.
    bool read_only = false;

    // Each path is relative to `directory` and stays beneath it; results are >= 0 or -errno.
    int open(const InodeRef& directory, std::string_view path, std::uint32_t flags, std::uint32_t mode, InodeRef& into);
    int rename(const InodeRef& from, std::string_view from_path, const InodeRef& to, std::string_view to_path,
               std::uint32_t flags);
    int unlink(const InodeRef& directory, std::string_view path);
    int make_directory(const InodeRef& directory, std::string_view path, std::uint32_t mode);
    void closed(Inode& inode);

    std::int64_t read(Inode& file, MutableBytes into, std::uint64_t offset, bool direct);
    /// The pages behind `offset` that are not in memory are coming, `pages` of them at most; arrive() brings what is coming.
    static void read_ahead(Inode& file, std::uint64_t offset, std::uint64_t pages);
    static void arrive(Inode& file);
    /// Short when the disk becomes full on the way.
    std::int64_t write(Inode& file, Bytes from, std::uint64_t offset, bool direct);
    /// fallocate(2) with mode 0: reserves and extends the size.
    int allocate(Inode& file, std::uint64_t offset, std::uint64_t size);
    /// `fails`: EIO, and the dirty pages are lost without a trace.
    int sync(Inode& inode, bool fails);
    /// Clean pages leave memory, each with this probability.
    void reclaim(Inode& file, Random& random, double probability);
    /// Flips one bit of the stored bytes of a page that is not in memory; false when there is no such page.
    bool rot(Inode& file, Random& random);

    /// The power fails: what was not durable is kept, lost or torn at random. Every InodeRef from before is stale then.
    /// How much of what was not synced did not survive.
    struct Lost {
        std::uint64_t pages = 0, names = 0;
    };
    Lost crash(Random& random);
    /// An orderly restart of the machine: everything is durable, nothing is in memory.
    void settle();

    /// The durable state as bytes, and back: it passes from a crashed process to the next.
    std::string save() const;
    void load(std::string_view saved);

    /// Every file with its path, in order of paths.
    std::vector<std::pair<std::string, InodeRef>> files() const;

  private:
    struct NameChange {
        InodeRef inode;
        InodeRef from_directory, to_directory;  // creation: no from; unlink: no to
        std::string from, to;
    };
    InodeRef make_inode(bool directory, std::uint32_t mode);
    int resolve(const InodeRef& directory, std::string_view path, InodeRef& parent, std::string& name) const;
    int grow(Inode& file, std::uint64_t end);
    void record(NameChange change);
    static void apply(const NameChange& change);
    void sync_names(const Inode& directory);
    void drop_if_unused(Inode& inode);
    static std::string after_crash(const Inode& file, Random& random);
    InodeRef rebuilt(const Inode& old, Random* random);
    void replace_tree(InodeRef root);
    void save_inode(const Inode& inode, std::string& into) const;
    InodeRef load_inode(std::string_view& from);

    std::string name_;
    std::uint64_t capacity_;
    std::uint64_t used_ = 0;
    std::uint64_t next_number_ = 1;
    InodeRef root_;
    std::vector<NameChange> pending_;  // name changes that are not durable, oldest first
};

}  // namespace entrepot::sim
