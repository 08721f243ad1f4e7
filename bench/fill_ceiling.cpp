// fill_ceiling: what a fill costs at least on this machine, step by step: bytes received from loopback into buffers of 256 KiB, then their SHA-256 and chunk sums, then their way to
// the disk by one of three ways. No HTTP, no client, no ledger: the ceiling beside the rows of misses. One JSON object, medians of the passes, which take turns.
// The sender has CPU 1 and the receiver CPU 0, io_uring's workers included; both use cubic, as everything in bench/figures.
// Usage: fill_ceiling DIRECTORY [MiB, default 1024] [passes, default 5]

#include "entrepot/base/sha256.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <span>
#include <string>
#include <vector>

namespace {

constexpr std::size_t buffer_bytes = 256 << 10, buffer_count = 32;
constexpr std::size_t write_back_bytes = 8 << 20;  // as the store starts write-back
constexpr std::size_t source_bytes = 64 << 20;     // sent again and again, from the page cache
constexpr int rwf_dontcache = 0x80;                // Linux 6.14; unknown to Debian 12's headers
constexpr std::uint64_t write_back_tag = buffer_count;

struct Way {
    const char* name;
    bool hashes, stores;
    int open_flags, write_flags;
};
constexpr Way ways[] = {
    {"receive", false, false, 0, 0},
    {"receive_hash", true, false, 0, 0},
    {"receive_hash_page_cache", true, true, 0, 0},
    {"receive_hash_uncached", true, true, 0, rwf_dontcache},
    {"receive_hash_direct", true, true, O_DIRECT, 0},
};

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

int checked(int result, const char* what) {
    if (result < 0) fail(what);
    return result;
}

double seconds(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void stay_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    checked(::sched_setaffinity(0, sizeof set, &set), "two CPUs are needed");
}

int cubic_socket() {
    int made = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
    checked(::setsockopt(made, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5), "cubic");
    return made;
}

/// A process of its own, so that its CPU time is not the receiver's.
pid_t start_sender(const sockaddr_in& to, int source, std::size_t bytes) {
    pid_t child = checked(::fork(), "fork");
    if (child != 0) return child;
    stay_on(1);
    int peer = cubic_socket();
    checked(::connect(peer, reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
    while (bytes > 0) {
        off_t offset = 0;
        auto sent = ::sendfile(peer, source, &offset, std::min(bytes, source_bytes));
        if (sent <= 0) fail("sendfile");
        bytes -= static_cast<std::size_t>(sent);
    }
    std::_Exit(0);
}

/// The buffers on their way: received into, written from, free again.
class Writes {
  public:
    Writes(std::byte* memory, int file, int flags) : memory_(memory), file_(file), flags_(flags) {
        io_uring_params parameters{};
        parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        checked(::io_uring_queue_init_params(2 * buffer_count, &ring_, &parameters), "io_uring");
        iovec all{memory, buffer_bytes * buffer_count};
        checked(::io_uring_register_buffers(&ring_, &all, 1), "registered buffers");
        for (std::size_t index = 0; index < buffer_count; ++index) free_.push_back(index);
    }
    ~Writes() { ::io_uring_queue_exit(&ring_); }
    Writes(const Writes&) = delete;

    std::size_t take() {
        while (free_.empty()) collect(true);
        auto index = free_.back();
        free_.pop_back();
        return index;
    }
    void give(std::size_t index) { free_.push_back(index); }
    void write(std::size_t index, bool is_write_back_due) {
        auto* entry = ::io_uring_get_sqe(&ring_);
        ::io_uring_prep_write_fixed(entry, file_, memory_ + index * buffer_bytes, buffer_bytes, written_, 0);
        entry->rw_flags = flags_;
        entry->user_data = index;
        written_ += buffer_bytes;
        ++in_flight_;
        if (is_write_back_due && written_ % write_back_bytes == 0) {
            auto* sync = ::io_uring_get_sqe(&ring_);
            ::io_uring_prep_sync_file_range(sync, file_, write_back_bytes, written_ - write_back_bytes, SYNC_FILE_RANGE_WRITE);
            sync->user_data = write_back_tag;
            ++in_flight_;
        }
        collect(false);
    }
    void finish() {
        while (in_flight_ > 0) collect(true);
    }

  private:
    void collect(bool wait) {
        checked(wait ? ::io_uring_submit_and_wait(&ring_, 1) : ::io_uring_submit_and_get_events(&ring_), "io_uring");
        io_uring_cqe* done = nullptr;
        while (::io_uring_peek_cqe(&ring_, &done) == 0) {
            if (done->user_data != write_back_tag) {
                if (done->res != static_cast<int>(buffer_bytes)) {
                    std::fprintf(stderr, "a write ended with %d\n", done->res);
                    std::exit(1);
                }
                give(done->user_data);
            }
            --in_flight_;
            ::io_uring_cqe_seen(&ring_, done);
        }
    }

    io_uring ring_{};
    std::byte* memory_;
    int file_, flags_;
    std::vector<std::size_t> free_;
    std::uint64_t written_ = 0;
    int in_flight_ = 0;
};

struct Cost {
    double cpu_s_per_gb, gb_per_s;
};

Cost fill(const Way& way, const std::string& directory, std::byte* memory, std::size_t bytes) {
    auto path = directory + "/fill_ceiling.tmp";
    auto source_path = directory + "/fill_ceiling.source";
    int source = checked(::open(source_path.c_str(), O_RDONLY | O_CLOEXEC), source_path.c_str());
    int file = checked(::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | way.open_flags, 0600), path.c_str());
    if (way.stores) checked(::fallocate(file, 0, 0, static_cast<off_t>(bytes)), "fallocate");
    int listener = cubic_socket();
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    checked(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), "bind");
    checked(::listen(listener, 1), "listen");
    checked(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    pid_t sender = start_sender(address, source, bytes);
    int peer = checked(::accept(listener, nullptr, nullptr), "accept");

    Writes writes(memory, file, way.write_flags);
    entrepot::Sha256 digest;
    auto* sums = ::XXH3_createState();
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), time = seconds(CLOCK_MONOTONIC);
    for (std::size_t have = 0; have < bytes; have += buffer_bytes) {
        auto index = writes.take();
        auto* buffer = memory + index * buffer_bytes;
        for (std::size_t filled = 0; filled < buffer_bytes;) {
            auto got = ::recv(peer, buffer + filled, buffer_bytes - filled, 0);
            if (got <= 0) fail("recv");
            filled += static_cast<std::size_t>(got);
        }
        if (way.hashes) {
            digest.update(std::span(buffer, buffer_bytes));
            ::XXH3_64bits_reset(sums);
            ::XXH3_64bits_update(sums, buffer, buffer_bytes);
        }
        if (way.stores) writes.write(index, way.open_flags == 0);
        else writes.give(index);
    }
    writes.finish();
    double gigabytes = static_cast<double>(bytes) * 1e-9;
    Cost cost{(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / gigabytes, gigabytes / (seconds(CLOCK_MONOTONIC) - time)};
    ::XXH3_freeState(sums);
    for (int one : {source, file, listener, peer}) ::close(one);
    ::unlink(path.c_str());
    int status = 0;
    checked(::waitpid(sender, &status, 0), "waitpid");
    if (status != 0) std::exit(1);
    return cost;
}

void make_source(const std::string& path) {
    int file = checked(::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), path.c_str());
    std::vector<char> bytes(source_bytes, 'a');
    if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) fail(path.c_str());
    ::close(file);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int count, char** words) {
    const int mib = count > 2 ? std::atoi(words[2]) : 1024, passes = count > 3 ? std::atoi(words[3]) : 5;
    if (count < 2 || count > 4 || mib < 8 || mib > 65536 || mib % 8 != 0 || passes < 1 || passes > 100) {
        std::fprintf(stderr, "usage: fill_ceiling DIRECTORY [MiB, a multiple of 8] [passes, 1 to 100]\n");
        return 2;
    }
    const std::string directory = words[1];
    const std::size_t bytes = static_cast<std::size_t>(mib) << 20;
    make_source(directory + "/fill_ceiling.source");
    stay_on(0);
    void* memory =
        ::mmap(nullptr, buffer_bytes * buffer_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    std::vector<double> cpu[std::size(ways)], rate[std::size(ways)];
    for (int pass = 0; pass < passes; ++pass) {
        for (std::size_t index = 0; index < std::size(ways); ++index) {
            auto way = (index + static_cast<std::size_t>(pass)) % std::size(ways);
            auto cost = fill(ways[way], directory, static_cast<std::byte*>(memory), bytes);
            cpu[way].push_back(cost.cpu_s_per_gb);
            rate[way].push_back(cost.gb_per_s);
        }
    }
    ::unlink((directory + "/fill_ceiling.source").c_str());
    for (std::size_t way = 0; way < std::size(ways); ++way)
        std::printf("%s\"%s\":{\"cpu_s_per_gb\":%.3f,\"gb_per_s\":%.3f}", way == 0 ? "{" : ",", ways[way].name, median(cpu[way]),
                    median(rate[way]));
    std::puts("}");
    return 0;
}
