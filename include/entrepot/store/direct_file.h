#pragma once
// A descriptor that goes past the page cache (O_DIRECT), one of a bounded number. Owned by the BlobFile whose bytes it reads, or by the writer whose bytes it writes.

#include "entrepot/io/loop.h"

#include <atomic>
#include <utility>

namespace entrepot {

class DirectFile {
  public:
    /// Memory, offset and length of a read are multiples of it: no disk's logical block is larger (statx, STATX_DIOALIGN).
    static constexpr std::size_t alignment = 4096;

    DirectFile() = default;
    /// `open` counts the open ones of a store, this one included; it outlives the descriptor.
    DirectFile(int file, std::atomic<unsigned>& open) noexcept : file_(file), open_(&open) {}
    DirectFile(DirectFile&& other) noexcept : file_(std::exchange(other.file_, -1)), open_(other.open_) {}
    DirectFile& operator=(DirectFile&& other) noexcept {
        if (this == &other) return *this;
        close();
        file_ = std::exchange(other.file_, -1);
        open_ = other.open_;
        return *this;
    }
    ~DirectFile() { close(); }

    explicit operator bool() const noexcept { return file_ >= 0; }
    int file() const noexcept { return file_; }

  private:
    void close() noexcept {
        if (file_ < 0) return;
        Loop::current().ring().close(file_);
        open_->fetch_sub(1, std::memory_order_relaxed);
    }

    int file_ = -1;
    std::atomic<unsigned>* open_ = nullptr;
};

}  // namespace entrepot
