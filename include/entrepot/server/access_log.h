#pragma once
// One line of JSON for each request that ended, in the words of docker-registry's log and of the public registry traces (IBM Cloud's of 2017), so that what reads those reads
// this: `entrepot-load --replay` too. Nobody waits for it: a shard keeps lines in memory and writes them behind the answers, and where the disk cannot keep up, lines are
// dropped and counted rather than requests held up. No header but User-Agent is written, and no body: there is no secret in what is left.

#include "entrepot/base/counter.h"
#include "entrepot/base/result.h"
#include "entrepot/io/await.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

namespace entrepot {

/// A request and what became of it.
struct AccessRecord {
    std::int64_t started_us = 0;  ///< wall clock, since 1970-01-01 UTC
    Duration took{0};             ///< from its head to the last byte handed to the kernel
    std::string client;           ///< "10.1.2.3:40000"
    std::string account;          ///< empty: nobody in particular
    std::string_view method;      ///< empty when the head could not be read; then there is no target either
    std::string target, agent;    ///< as sent
    std::uint16_t status = 0;
    std::uint64_t body_bytes = 0;
    std::string_view served;  ///< as X-Entrepot-Cache says it; empty: not from the cache
    bool aborted = false;     ///< the body is short, and the connection was reset to show it
};

/// The line, with its end. Whatever is not printable ASCII is escaped; a longer target or agent than `access_text_bytes_max` is cut.
void append_line(std::string& out, const AccessRecord& record);
constexpr std::size_t access_text_bytes_max = 8 * 1024;

/// The file that all shards append to.
class AccessLogFile {
  public:
    /// Blocking. Appends to the file, or makes it (0640). The error is one line for the operator.
    static Result<std::unique_ptr<AccessLogFile>, std::string> open(std::string path);
    ~AccessLogFile();

    /// Blocking, any thread. Further lines go to the file that has the name now: whoever rotates logs renamed the other. Else they go where they went.
    Result<void, std::string> reopen();
    /// True when a failure may be told, once a minute for all shards. Any thread.
    bool may_complain(Instant time) noexcept;
    /// Stays the same through reopen().
    int descriptor() const noexcept { return descriptor_; }

  private:
    AccessLogFile(std::string path, int descriptor) noexcept : path_(std::move(path)), descriptor_(descriptor) {}

    std::string path_;
    int descriptor_;
    std::atomic<std::int64_t> silent_until_ns_{0};
};

/// One shard's part. Lines reach the file a second after their request at the latest, whole, and in the order in which requests of this shard ended.
class AccessLog {
  public:
    static constexpr std::size_t waiting_bytes_max = 1 << 20;  ///< that nobody has begun to write; further lines are dropped
    static constexpr std::size_t write_at_bytes =
        64 * 1024;  ///< so much is written at once, without waiting for the second to end
    static constexpr Duration write_interval = std::chrono::seconds(1);

    explicit AccessLog(AccessLogFile& file) noexcept : file_(file) {}

    /// Never waits.
    void add(const AccessRecord& record);
    /// Writes until stop(), then what is left.
    Task<void> run();
    void stop() noexcept;

    const Counter& dropped() const noexcept { return dropped_; }  ///< lines

  private:
    Task<void> write_waiting();

    AccessLogFile& file_;
    std::string waiting_;
    std::uint64_t waiting_lines_ = 0;
    Condition filled_;
    Counter dropped_;
    bool stopped_ = false;
};

}  // namespace entrepot
