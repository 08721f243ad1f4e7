#include "upstream/hidden_text.h"

#include "entrepot/base/assert.h"
#include "entrepot/base/out_of_memory.h"

#include <strings.h>
#include <sys/mman.h>

#include <cstring>
#include <memory_resource>

namespace entrepot {
namespace {

constexpr std::size_t block_bytes_max = 64 * 1024;  // what is longer has pages of its own

/// Whole pages of the kernel.
class HiddenPages final : public std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t) override {
        auto* pages = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) end_out_of_memory();
        bool is_hidden = ::madvise(pages, bytes, MADV_DONTDUMP) == 0;
        ASSERT(is_hidden);
        return pages;
    }
    void do_deallocate(void* pages, std::size_t bytes, std::size_t) override { ::munmap(pages, bytes); }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

/// Any thread. Never destroyed: shards end after main's statics have begun to.
std::pmr::memory_resource& hidden_memory() {
    static auto& pages = *new HiddenPages;
    static auto& pool = *new std::pmr::synchronized_pool_resource(
        {.max_blocks_per_chunk = 0, .largest_required_pool_block = block_bytes_max}, &pages);
    return pool;
}

}  // namespace

HiddenText::HiddenText(std::string_view text) {
    if (text.empty()) return;
    data_ = static_cast<char*>(hidden_memory().allocate(text.size(), 1));
    size_ = text.size();
    std::memcpy(data_, text.data(), size_);
}

HiddenText::~HiddenText() {
    if (!data_) return;
    ::explicit_bzero(data_, size_);
    hidden_memory().deallocate(data_, size_, 1);
}

}  // namespace entrepot
