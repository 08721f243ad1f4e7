#include "entrepot/server/access_log.h"

#include "entrepot/base/assert.h"
#include "entrepot/base/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <iterator>

namespace entrepot {
namespace {

constexpr Duration complaint_interval = seconds(60);

Result<int, std::string> open_to_append(const std::string& path) {
    int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (descriptor >= 0) return descriptor;
    return fmt::format("[server] access_log: cannot append to {}: {}", path, std::strerror(errno));
}

void append_time(std::string& out, std::int64_t microseconds_since_1970) {
    using namespace std::chrono;
    sys_time<microseconds> at{microseconds(microseconds_since_1970)};
    auto day = floor<days>(at);
    year_month_day date(day);
    hh_mm_ss time(at - day);
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                   static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                   time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

/// `,"key":"text"`; nothing when there is no text.
void append_text(std::string& out, std::string_view key, std::string_view text) {
    if (text.empty()) return;
    fmt::format_to(std::back_inserter(out), ",\"{}\":\"", key);
    for (unsigned char c : text.substr(0, access_text_bytes_max)) {
        if (c == '"' || c == '\\') out.append({'\\', static_cast<char>(c)});
        else if (c >= 0x20 && c < 0x7f) out.push_back(static_cast<char>(c));
        else fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
    out.push_back('"');
}

}  // namespace

void append_line(std::string& out, const AccessRecord& record) {
    out += "{\"timestamp\":\"";
    append_time(out, record.started_us);
    out.push_back('"');
    append_text(out, "http.request.remoteaddr", record.client);
    append_text(out, "http.request.method", record.method);
    append_text(out, "http.request.uri", record.target);
    append_text(out, "http.request.useragent", record.agent);
    append_text(out, "auth.user.name", record.account);
    append_text(out, "entrepot.cache", record.served);
    fmt::format_to(std::back_inserter(out),
                   ",\"http.response.status\":{},\"http.response.written\":{},\"http.request.duration\":{:.6f}", record.status,
                   record.body_bytes, std::chrono::duration<double>(record.took).count());
    out += record.aborted ? ",\"entrepot.aborted\":true}\n" : "}\n";
}

Result<std::unique_ptr<AccessLogFile>, std::string> AccessLogFile::open(std::string path) {
    auto descriptor = open_to_append(path);
    if (!descriptor) return descriptor.error();
    return std::unique_ptr<AccessLogFile>(new AccessLogFile(std::move(path), *descriptor));
}

AccessLogFile::~AccessLogFile() { ::close(descriptor_); }

Result<void, std::string> AccessLogFile::reopen() {
    auto next = open_to_append(path_);
    if (!next) return next.error();
    // The number stays and the file behind it changes at once: no shard needs to be told, and a write under way ends where it began.
    int moved = ::dup3(*next, descriptor_, O_CLOEXEC);
    ASSERT(moved == descriptor_);
    ::close(*next);
    return {};
}

bool AccessLogFile::may_complain(Instant time) noexcept {
    auto silent_until = silent_until_ns_.load(std::memory_order_relaxed);
    return time.ns >= silent_until && silent_until_ns_.compare_exchange_strong(silent_until, (time + complaint_interval).ns);
}

void AccessLog::add(const AccessRecord& record) {
    if (waiting_.size() >= waiting_bytes_max) return dropped_.add();
    append_line(waiting_, record);
    ++waiting_lines_;
    if (waiting_.size() >= write_at_bytes) filled_.notify_all();
}

void AccessLog::stop() noexcept {
    stopped_ = true;
    filled_.notify_all();
}

Task<void> AccessLog::run() {
    while (!stopped_) {
        auto due = Loop::current().time() + write_interval;
        if (waiting_.size() < write_at_bytes) (void)co_await filled_.wait(due);
        co_await write_waiting();
    }
    co_await write_waiting();
}

Task<void> AccessLog::write_waiting() {
    constexpr std::uint64_t at_the_end = ~std::uint64_t{0};  // as O_APPEND does it; io_uring_prep_write(3)
    auto lines = std::exchange(waiting_lines_, 0);
    auto text = std::exchange(waiting_, {});
    for (auto left = bytes_of(text); !left.empty();) {
        auto written = co_await write_file(file_.descriptor(), left, at_the_end);
        if (written <= 0) {
            dropped_.add(lines);
            if (left.size() < text.size()) waiting_.insert(0, 1, '\n');  // ends the line that was cut
            if (file_.may_complain(Loop::current().time()))
                log_warning("the access log cannot be written ({}): lines are dropped, see entrepot_access_log_dropped_total",
                            std::strerror(-written));
            co_return;
        }
        left = left.subspan(static_cast<std::size_t>(written));
    }
}

}  // namespace entrepot
