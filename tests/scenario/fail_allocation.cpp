// Preloaded into the server (LD_PRELOAD), it counts every call for memory and lets one of them fail: operator new in all its forms, the malloc family, mmap. Which one, a page of memory
// says that the scenario shares with us: the file named by ENTREPOT_FAIL_ALLOCATION.

#undef _FILE_OFFSET_BITS  // with it the headers give mmap the name mmap64; here both are defined
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

struct Control {
    std::atomic<std::int64_t> calls;      ///< since the scenario set it to 0
    std::atomic<std::int64_t> fail_at;    ///< the call that fails; 0: none
    std::atomic<std::int64_t> failed;     ///< how many did
    std::atomic<std::int64_t> maps_only;  ///< calls are those of mmap alone, the allocator's own among them
};

std::atomic<Control*> control{nullptr};

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

using Malloc = void* (*)(std::size_t);
using Calloc = void* (*)(std::size_t, std::size_t);
using Realloc = void* (*)(void*, std::size_t);
using Aligned = void* (*)(std::size_t, std::size_t);
using Posix = int (*)(void**, std::size_t, std::size_t);
using Mmap = void* (*)(void*, std::size_t, int, int, int, off_t);

Malloc real_malloc() {
    static const auto function = real<Malloc>("malloc");
    return function;
}

/// Whether this call is the one.
bool fails(bool is_map = false) noexcept {
    auto* page = control.load(std::memory_order_acquire);
    if (!page || (!is_map && page->maps_only.load(std::memory_order_relaxed))) return false;
    auto call = page->calls.fetch_add(1, std::memory_order_relaxed) + 1;
    if (call != page->fail_at.load(std::memory_order_relaxed)) return false;
    page->failed.fetch_add(1, std::memory_order_relaxed);
    errno = ENOMEM;
    return true;
}

void* aligned(std::size_t alignment, std::size_t bytes) {
    static const auto function = real<Aligned>("aligned_alloc");
    return function(alignment, (bytes + alignment - 1) / alignment * alignment);
}

/// As the standard wants it of every operator new: the handler is called until memory comes or it does not return.
template <typename Take>
void* take_or_handle(Take take) {
    for (;;) {
        void* memory = fails() ? nullptr : take();
        if (memory) return memory;
        auto handler = std::get_new_handler();
        if (!handler) throw std::bad_alloc();
        handler();
    }
}

__attribute__((constructor)) void open_control() {
    const char* path = std::getenv("ENTREPOT_FAIL_ALLOCATION");
    int file = path ? ::open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) return;
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (page != MAP_FAILED) control.store(static_cast<Control*>(page), std::memory_order_release);
}

}  // namespace

extern "C" {

void* malloc(std::size_t bytes) { return fails() ? nullptr : real_malloc()(bytes); }

void* calloc(std::size_t count, std::size_t bytes) {
    static const auto function = real<Calloc>("calloc");
    return fails() ? nullptr : function(count, bytes);
}

void* realloc(void* memory, std::size_t bytes) {
    static const auto function = real<Realloc>("realloc");
    return fails() ? nullptr : function(memory, bytes);
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return fails() ? nullptr : aligned(alignment, bytes); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
    static const auto function = real<Posix>("posix_memalign");
    return fails() ? ENOMEM : function(memory, alignment, bytes);
}

void* mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) {
    static const auto function = real<Mmap>("mmap");
    return fails(true) ? MAP_FAILED : function(at, bytes, protection, flags, file, offset);
}
void* mmap64(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) {
    return mmap(at, bytes, protection, flags, file, offset);
}

}  // extern "C"

void* operator new(std::size_t bytes) {
    return take_or_handle([bytes] { return real_malloc()(bytes); });
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return take_or_handle([=] { return aligned(static_cast<std::size_t>(alignment), bytes); });
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return operator new(bytes, alignment); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return malloc(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return malloc(bytes); }
void operator delete(void* memory) noexcept { ::free(memory); }
void operator delete[](void* memory) noexcept { ::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { ::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { ::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { ::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { ::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { ::free(memory); }
