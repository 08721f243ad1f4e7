#include "disk.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

namespace entrepot::sim {
namespace {

constexpr std::uint64_t sector_bytes = 512;
constexpr std::size_t name_bytes_max = 255;

std::uint64_t pages_for(std::uint64_t bytes) { return (bytes + page_bytes - 1) / page_bytes; }

bool aligned(const void* address, std::uint64_t offset, std::uint64_t length) {
    return reinterpret_cast<std::uintptr_t>(address) % sector_bytes == 0 && offset % sector_bytes == 0 &&
           length % sector_bytes == 0;
}

/// Copies [begin, end) of `from` over `to`; what `from` does not have is zero.
void copy_range(const std::string& from, std::string& to, std::uint64_t begin, std::uint64_t end) {
    end = std::min<std::uint64_t>(end, to.size());
    for (std::uint64_t i = begin; i < end; ++i) to[i] = i < from.size() ? from[i] : '\0';
}

void put(std::string& into, std::uint64_t number) { into.append(reinterpret_cast<const char*>(&number), sizeof number); }
void put(std::string& into, std::string_view text) {
    put(into, std::uint64_t{text.size()});
    into += text;
}
std::uint64_t take_number(std::string_view& from) {
    std::uint64_t number = 0;
    ASSERT(from.size() >= sizeof number);
    std::memcpy(&number, from.data(), sizeof number);
    from.remove_prefix(sizeof number);
    return number;
}
std::string take_text(std::string_view& from) {
    auto length = take_number(from);
    ASSERT(from.size() >= length);
    std::string text(from.substr(0, length));
    from.remove_prefix(length);
    return text;
}

}  // namespace

bool Inode::resident(std::uint64_t offset, std::uint64_t length, bool closely) const {
    for (std::uint64_t page = offset / page_bytes; page * page_bytes < offset + length; ++page) {
        if (page >= pages.size() || !(pages[page].resident || (pages[page].coming && !closely))) return false;
    }
    return true;
}

bool Inode::coming(std::uint64_t offset, std::uint64_t length) const {
    for (std::uint64_t page = offset / page_bytes; page * page_bytes < offset + length && page < pages.size(); ++page) {
        if (pages[page].coming) return true;
    }
    return false;
}

Disk::Disk(std::string name, std::uint64_t capacity) : name_(std::move(name)), capacity_(capacity) {
    root_ = make_inode(true, 0755);
    root_->links = 1;
}

InodeRef Disk::make_inode(bool directory, std::uint32_t mode) {
    auto inode = std::make_shared<Inode>();
    inode->number = next_number_++;
    inode->is_directory = directory;
    inode->mode = mode & 07777;
    return inode;
}

int Disk::resolve(const InodeRef& directory, std::string_view path, InodeRef& parent, std::string& name) const {
    if (path.empty()) return -ENOENT;
    if (path.front() == '/') return -EXDEV;  // RESOLVE_BENEATH
    if (!directory->is_directory) return -ENOTDIR;
    parent = directory;
    name = std::string(1, '.');
    while (!path.empty()) {
        auto slash = std::min(path.find('/'), path.size());
        std::string component(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
        if (component.empty() || component == ".") continue;
        if (component == "..") return -EXDEV;
        if (component.size() > name_bytes_max) return -ENAMETOOLONG;
        if (name != ".") {
            auto found = parent->entries.find(name);
            if (found == parent->entries.end()) return -ENOENT;
            if (!found->second->is_directory) return -ENOTDIR;
            parent = found->second;
        }
        name = std::move(component);
    }
    return 0;
}

int Disk::open(const InodeRef& directory, std::string_view path, std::uint32_t flags, std::uint32_t mode, InodeRef& into) {
    InodeRef parent;
    std::string name;
    if (int error = resolve(directory, path, parent, name); error < 0) return error;
    bool anonymous = (flags & O_TMPFILE) == O_TMPFILE;
    auto found = parent->entries.find(name);
    if (name == ".") into = parent;
    else if (found != parent->entries.end()) into = found->second;
    else if (anonymous || !(flags & O_CREAT)) return -ENOENT;
    else {
        into = make_inode(false, mode);
        into->links = 1;
        parent->entries[name] = into;
        record({into, nullptr, parent, {}, name});
        ++into->opens;
        return 0;
    }
    if ((flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
    if (anonymous) {
        if (!into->is_directory) return -ENOTDIR;
        into = make_inode(false, mode);
    } else if (into->is_directory) {
        if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT)) return -EISDIR;
    } else {
        if (flags & O_DIRECTORY) return -ENOTDIR;
        if (flags & O_TRUNC) {
            into->data.clear();
            into->pages.clear();
            into->sync_failed = false;
            used_ -= std::exchange(into->allocated, 0);
        }
    }
    ++into->opens;
    return 0;
}

int Disk::rename(const InodeRef& from, std::string_view from_path, const InodeRef& to, std::string_view to_path,
                 std::uint32_t flags) {
    InodeRef from_parent, to_parent;
    std::string from_name, to_name;
    if (int error = resolve(from, from_path, from_parent, from_name); error < 0) return error;
    if (int error = resolve(to, to_path, to_parent, to_name); error < 0) return error;
    auto source = from_parent->entries.find(from_name);
    if (source == from_parent->entries.end()) return -ENOENT;
    InodeRef inode = source->second;
    auto target = to_parent->entries.find(to_name);
    if (target != to_parent->entries.end()) {
        if (flags & RENAME_NOREPLACE) return -EEXIST;
        if (target->second == inode) return 0;
        if (target->second->is_directory) return -EISDIR;
        InodeRef replaced = target->second;
        --replaced->links;  // the rename itself is what makes this durable: the name is never absent
        to_parent->entries.erase(target);
        drop_if_unused(*replaced);
    }
    from_parent->entries.erase(from_name);
    to_parent->entries[to_name] = inode;
    record({inode, from_parent, to_parent, from_name, to_name});
    return 0;
}

int Disk::unlink(const InodeRef& directory, std::string_view path) {
    InodeRef parent;
    std::string name;
    if (int error = resolve(directory, path, parent, name); error < 0) return error;
    auto found = parent->entries.find(name);
    if (found == parent->entries.end()) return -ENOENT;
    if (found->second->is_directory) return -EISDIR;
    InodeRef inode = found->second;
    parent->entries.erase(found);
    --inode->links;
    record({inode, parent, nullptr, name, {}});
    drop_if_unused(*inode);
    return 0;
}

int Disk::make_directory(const InodeRef& directory, std::string_view path, std::uint32_t mode) {
    InodeRef parent;
    std::string name;
    if (int error = resolve(directory, path, parent, name); error < 0) return error;
    if (name == "." || parent->entries.contains(name)) return -EEXIST;
    auto inode = make_inode(true, mode);
    inode->links = 1;
    parent->entries[name] = inode;
    record({inode, nullptr, parent, {}, name});
    return 0;
}

void Disk::closed(Inode& inode) {
    ASSERT(inode.opens > 0);
    --inode.opens;
    drop_if_unused(inode);
}

void Disk::drop_if_unused(Inode& inode) {
    if (inode.links == 0 && inode.opens == 0) used_ -= std::exchange(inode.allocated, 0);
}

std::int64_t Disk::read(Inode& file, MutableBytes into, std::uint64_t offset, bool direct) {
    if (file.is_directory) return -EISDIR;
    if (direct && !aligned(into.data(), offset, into.size())) return -EINVAL;
    if (offset >= file.data.size()) return 0;
    auto length = std::min<std::uint64_t>(into.size(), file.data.size() - offset);
    std::memcpy(into.data(), file.data.data() + offset, length);
    for (auto page = offset / page_bytes; !direct && page * page_bytes < offset + length; ++page) {
        file.pages[page].resident = true;
        file.pages[page].coming = false;
    }
    return static_cast<std::int64_t>(length);
}

void Disk::read_ahead(Inode& file, std::uint64_t offset, std::uint64_t pages) {
    for (auto page = pages_for(offset); page < file.pages.size() && pages > 0; ++page, --pages) {
        if (!file.pages[page].resident) file.pages[page].coming = true;
    }
}

void Disk::arrive(Inode& file) {
    for (auto& page : file.pages) {
        if (std::exchange(page.coming, false)) page.resident = true;
    }
}

/// Makes room up to `end` as far as the disk has it; -ENOSPC when not all of it.
int Disk::grow(Inode& file, std::uint64_t end) {
    std::uint64_t wanted = pages_for(end) * page_bytes;
    if (wanted > file.allocated) {
        if (wanted - file.allocated > capacity_ - used_) return -ENOSPC;
        used_ += wanted - file.allocated;
        file.allocated = wanted;
    }
    if (end > file.data.size()) file.data.resize(end, '\0');
    if (file.pages.size() < pages_for(file.data.size())) file.pages.resize(pages_for(file.data.size()));
    return 0;
}

std::int64_t Disk::write(Inode& file, Bytes from, std::uint64_t offset, bool direct) {
    if (file.is_directory) return -EISDIR;
    if (direct && !aligned(from.data(), offset, from.size())) return -EINVAL;
    if (from.empty()) return 0;
    if (grow(file, offset + from.size()) < 0) {
        // What fits is written: up to the end of the allocation that exists or can still be made.
        std::uint64_t end = file.allocated + (capacity_ - used_) / page_bytes * page_bytes;
        if (end <= offset) return -ENOSPC;
        from = from.first(end - offset);
        ASSERT(grow(file, end) == 0);
    }
    std::memcpy(file.data.data() + offset, from.data(), from.size());
    for (auto page = offset / page_bytes; page * page_bytes < offset + from.size(); ++page)
        file.pages[page] = {!direct, true, false, false};
    return static_cast<std::int64_t>(from.size());
}

int Disk::allocate(Inode& file, std::uint64_t offset, std::uint64_t size) {
    if (file.is_directory) return -ENODEV;
    if (size == 0) return -EINVAL;
    return grow(file, offset + size);
}

int Disk::sync(Inode& inode, bool fails) {
    if (inode.is_directory) {
        if (fails) return -EIO;
        sync_names(inode);
        return 0;
    }
    if (!fails) inode.durable.resize(inode.data.size(), '\0');
    for (std::uint64_t i = 0; i < inode.pages.size(); ++i) {
        auto& page = inode.pages[i];
        if (!page.dirty) continue;
        page.dirty = false;
        page.lost = fails;
        if (!fails) copy_range(inode.data, inode.durable, i * page_bytes, (i + 1) * page_bytes);
    }
    return fails ? -EIO : 0;
}

void Disk::reclaim(Inode& file, Random& random, double probability) {
    for (std::uint64_t i = 0; i < file.pages.size(); ++i) {
        auto& page = file.pages[i];
        if (!page.resident || page.dirty || !random.chance(probability)) continue;
        if (page.lost) copy_range(file.durable, file.data, i * page_bytes, (i + 1) * page_bytes);
        page = {};
    }
}

bool Disk::rot(Inode& file, Random& random) {
    if (file.data.empty() || file.data.size() != file.durable.size()) return false;
    auto at = random.below(file.data.size());
    const auto& page = file.pages[at / page_bytes];
    if (page.resident || page.dirty || page.lost) return false;
    file.data[at] = file.durable[at] = static_cast<char>(file.data[at] ^ (1 << random.below(8)));
    return true;
}

void Disk::record(NameChange change) { pending_.push_back(std::move(change)); }

void Disk::apply(const NameChange& change) {
    if (change.from_directory) {
        auto& entries = change.from_directory->durable_entries;
        auto found = entries.find(change.from);
        if (found != entries.end() && found->second == change.inode) entries.erase(found);
    }
    if (change.to_directory) change.to_directory->durable_entries[change.to] = change.inode;
}

void Disk::sync_names(const Inode& directory) {
    std::vector<bool> chosen(pending_.size());
    std::set<const Inode*> chosen_inodes;
    for (auto i = pending_.size(); i-- > 0;) {
        const auto& change = pending_[i];
        bool touches = change.from_directory.get() == &directory || change.to_directory.get() == &directory;
        // An earlier change of the same file cannot come after this one, so it becomes durable with it.
        chosen[i] = touches || chosen_inodes.contains(change.inode.get());
        if (chosen[i]) chosen_inodes.insert(change.inode.get());
    }
    std::vector<NameChange> still_pending;
    for (std::size_t i = 0; i < pending_.size(); ++i) {
        if (chosen[i]) apply(pending_[i]);
        else still_pending.push_back(std::move(pending_[i]));
    }
    pending_ = std::move(still_pending);
}

Disk::Lost Disk::crash(Random& random) {
    Lost lost;
    bool journal = random.chance(0.5);
    std::size_t journal_length = random.below(pending_.size() + 1);
    std::set<const Inode*> stopped;  // the rest of this file's changes did not happen
    for (std::size_t i = 0; i < pending_.size(); ++i) {
        const auto& change = pending_[i];
        if (journal ? i >= journal_length : random.chance(0.5)) stopped.insert(change.inode.get());
        if (stopped.contains(change.inode.get())) ++lost.names;
        else apply(change);
    }
    // Before the tree is replaced: a page is lost when its bytes did not come to the disk, whether its name survived or not.
    for (const auto& [path, inode] : files())
        lost.pages += static_cast<std::uint64_t>(
            std::count_if(inode->pages.begin(), inode->pages.end(), [](auto& page) { return page.dirty || page.lost; }));
    replace_tree(rebuilt(*root_, &random));
    return lost;
}

void Disk::settle() {
    for (const auto& change : pending_) apply(change);
    replace_tree(rebuilt(*root_, nullptr));
}

std::string Disk::after_crash(const Inode& file, Random& random) {
    std::string left = file.durable;
    if (file.data.size() != file.durable.size() && random.chance(0.5)) left.resize(file.data.size(), '\0');
    for (std::uint64_t i = 0; i < file.pages.size(); ++i) {
        if (!file.pages[i].dirty) continue;
        auto begin = i * page_bytes;
        switch (random.below(3)) {
            case 0: break;
            case 1: copy_range(file.data, left, begin, begin + page_bytes); break;
            default:
                for (auto sector = begin; sector < begin + page_bytes; sector += sector_bytes) {
                    if (random.chance(0.5)) copy_range(file.data, left, sector, sector + sector_bytes);
                }
        }
    }
    return left;
}

/// A tree of fresh inodes from the durable names; file contents as a crash (or, without `random`, an orderly end) leaves them.
InodeRef Disk::rebuilt(const Inode& old, Random* random) {
    auto fresh = make_inode(old.is_directory, old.mode);
    fresh->links = 1;
    if (!old.is_directory) {
        fresh->data = random ? after_crash(old, *random) : old.data;
        fresh->durable = fresh->data;
        fresh->pages.resize(pages_for(fresh->data.size()));
        fresh->allocated = fresh->pages.size() * page_bytes;
        return fresh;
    }
    for (const auto& [name, inode] : old.durable_entries) fresh->entries[name] = rebuilt(*inode, random);
    fresh->durable_entries = fresh->entries;
    return fresh;
}

void Disk::replace_tree(InodeRef root) {
    root_ = std::move(root);
    pending_.clear();
    used_ = 0;
    for (const auto& [path, inode] : files()) used_ += inode->allocated;
}

void Disk::save_inode(const Inode& inode, std::string& into) const {
    put(into, std::uint64_t{inode.is_directory});
    put(into, std::uint64_t{inode.mode});
    if (!inode.is_directory) return put(into, inode.durable);
    put(into, std::uint64_t{inode.durable_entries.size()});
    for (const auto& [name, entry] : inode.durable_entries) {
        put(into, name);
        save_inode(*entry, into);
    }
}

InodeRef Disk::load_inode(std::string_view& from) {
    bool directory = take_number(from) != 0;
    auto inode = make_inode(directory, static_cast<std::uint32_t>(take_number(from)));
    inode->links = 1;
    if (!directory) {
        inode->data = inode->durable = take_text(from);
        inode->pages.resize(pages_for(inode->data.size()));
        inode->allocated = inode->pages.size() * page_bytes;
        return inode;
    }
    for (auto count = take_number(from); count > 0; --count) {
        auto name = take_text(from);
        inode->entries[name] = load_inode(from);
    }
    inode->durable_entries = inode->entries;
    return inode;
}

std::string Disk::save() const {
    std::string saved;
    save_inode(*root_, saved);
    return saved;
}

void Disk::load(std::string_view saved) { replace_tree(load_inode(saved)); }

std::vector<std::pair<std::string, InodeRef>> Disk::files() const {
    std::vector<std::pair<std::string, InodeRef>> found;
    auto walk = [&found](auto& self, const std::string& path, const InodeRef& inode) -> void {
        if (!inode->is_directory) return found.emplace_back(path, inode), void();
        for (const auto& [name, entry] : inode->entries) self(self, path.empty() ? name : path + "/" + name, entry);
    };
    walk(walk, "", root_);
    return found;
}

}  // namespace entrepot::sim
