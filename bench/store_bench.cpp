// store_bench: what the store does with bytes on one loop. Usage: store_bench DIRECTORY [MIB, default 1024]
// Fill: SHA-256 over registered buffers, append, publish, as a fetch does it with bytes that are already there. Then small blobs one after the other and many at a
// time (each is three syncs; group commit shares the ledger's), and reading back with chunk sums.

#include "entrepot/io/blocking.h"
#include "entrepot/io/buffer_pool.h"
#include "entrepot/store/store.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstring>

using namespace entrepot;

namespace {

constexpr int small_blobs = 640;
constexpr int tasks_at_once = 64;

double seconds_since(Instant start) { return std::chrono::duration<double>(now() - start).count(); }

double thread_cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

double process_cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/// Every chunk begins with its number, so that no two of a blob are equal.
void mark(MutableBytes chunk, std::uint64_t seed, std::uint64_t number) {
    std::memcpy(chunk.data(), &seed, sizeof seed);
    std::memcpy(chunk.data() + sizeof seed, &number, sizeof number);
}

Digest digest_of_fill(Buffer& buffer, std::uint64_t bytes, std::uint64_t seed) {
    Digester digester(DigestAlgorithm::sha256);
    for (std::uint64_t at = 0; at < bytes; at += BufferPool::buffer_bytes) {
        mark(buffer.bytes(), seed, at);
        digester.update(buffer.bytes().first(std::min<std::uint64_t>(BufferPool::buffer_bytes, bytes - at)));
    }
    return digester.finish();
}

Task<bool> put(Store& store, Buffer& buffer, Digest digest, std::uint64_t bytes, std::uint64_t seed) {
    Digester digester(DigestAlgorithm::sha256);
    auto writer = co_await store.begin(digest, bytes, digester);
    if (!writer) co_return false;
    bool good = true;
    for (std::uint64_t at = 0; at < bytes && good; at += BufferPool::buffer_bytes) {
        mark(buffer.bytes(), seed, at);
        auto piece = buffer.bytes().first(std::min<std::uint64_t>(BufferPool::buffer_bytes, bytes - at));
        digester.update(piece);
        auto appended = co_await (*writer)->append(piece, buffer.index());
        good = appended.has_value();
    }
    if (!good || !(digester.finish() == digest)) {
        co_await (*writer)->abandon(false);
        co_return false;
    }
    auto published = co_await (*writer)->publish();
    co_return published.has_value();
}

Task<void> put_small(Store& store, BufferPool& pool, int first, int count, int& stored) {
    for (int i = first; i < first + count; ++i) {
        auto buffer = co_await pool.take(Instant::never());
        auto seed = static_cast<std::uint64_t>(i) + 1000;
        auto digest = digest_of_fill(buffer, 2048, seed);
        bool good = co_await put(store, buffer, digest, 2048, seed);
        stored += good;
    }
}

Task<bool> read_back(Store& store, Buffer& buffer, Digest digest) {
    auto blob = co_await store.open(digest);
    if (!blob) co_return false;
    for (std::uint64_t chunk = 0; chunk < chunk_count((*blob)->size()); ++chunk) {
        auto bytes = co_await (*blob)->read_chunk(chunk, buffer);
        if (!bytes) co_return false;
    }
    co_return true;
}

struct Bench {
    Loop& loop;
    Store& store;
    BufferPool& pool;

    template <typename T>
    T wait(const Task<T>& task) {
        while (!task.done()) loop.turn(now() + seconds(1));
        return const_cast<Task<T>&>(task).await_resume();
    }

    bool fill(std::uint64_t bytes) {
        auto buffer = pool.try_take();
        std::memset(buffer.bytes().data(), 0x5a, buffer.bytes().size());
        auto digest = digest_of_fill(buffer, bytes, 1);
        auto begun = now();
        auto own = thread_cpu_seconds(), all = process_cpu_seconds();
        bool stored = wait(put(store, buffer, digest, bytes, 1));
        auto took = seconds_since(begun);
        auto gigabytes = static_cast<double>(bytes) / 1e9;
        fmt::print("fill with digest, durable   {:8.2f} GB/s, {:.2f} CPU-s/GB on the loop, {:.2f} with kernel workers\n",
                   gigabytes / took, (thread_cpu_seconds() - own) / gigabytes, (process_cpu_seconds() - all) / gigabytes);
        begun = now();
        bool read = stored && wait(read_back(store, buffer, digest));
        fmt::print("read_chunk, from page cache {:8.2f} GB/s\n", gigabytes / seconds_since(begun));
        return read;
    }

    bool small(int tasks) {
        int stored = 0;
        auto begun = now();
        TaskGroup group;
        for (int i = 0; i < tasks; ++i)
            group.start(put_small(store, pool, tasks * 10'000 + i * (small_blobs / tasks), small_blobs / tasks, stored));
        while (group.running() > 0) loop.turn(now() + seconds(1));
        fmt::print("2 KiB blobs, {:2} at a time   {:8.0f} a second, durable\n", tasks, small_blobs / seconds_since(begun));
        return stored == small_blobs;
    }
};

int run(const char* directory, std::uint64_t bytes) {
    auto ring = Ring::open({});
    if (!ring) return fmt::print(stderr, "store_bench: {}\n", ring.error()), 1;
    start_lanes();
    Loop loop(std::move(*ring));
    bool good = false;
    {
        Store::Options options;
        options.directory = directory;
        auto store = Store::open(options);
        if (!store) return fmt::print(stderr, "store_bench: {}\n", store.error()), 1;
        BufferPool pool(loop.ring(), tasks_at_once);
        Bench bench{loop, **store, pool};
        auto started = bench.wait((*store)->start());
        good = started && bench.fill(bytes) && bench.small(1) && bench.small(tasks_at_once);
        auto stopping = (*store)->stop();
        while (!stopping.done()) loop.turn(now() + seconds(1));
    }
    stop_lanes();
    if (!good) fmt::print(stderr, "store_bench: something was not stored\n");
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t mebibytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024;
    if (argc < 2 || argc > 3 || mebibytes == 0) return fmt::print(stderr, "usage: store_bench DIRECTORY [MIB]\n"), 2;
    return run(argv[1], mebibytes * MiB);
}
