#include "upstream/exchange.h"

#include "entrepot/http/range.h"
#include "entrepot/oci/manifest.h"

#include <algorithm>
#include <charconv>

namespace entrepot {
namespace {

// A transfer that is slower than this for so long is as good as dead; a new connection often is not.
constexpr Duration stall_window = seconds(30);
constexpr std::uint64_t stall_bytes_min = 30 * KiB;

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

}  // namespace

ExchangeOfUpstream::ExchangeOfUpstream(ConnectionPool& pool, Semaphore& slots, UpstreamState& upstream, std::unique_ptr<UpstreamConnection> connection)
    : pool_(pool), slots_(slots), upstream_(upstream), connection_(std::move(connection)), status_(connection_->head().status), window_start_(Loop::current().time()) {
    auto& head = connection_->head();
    content_length_ = head.content_length;
    content_type_ = lower_case(media_type_of(head.content_type));
    digest_ = head.docker_content_digest;
    filters_applied_ = head.oci_filters_applied;
    if (!head.link.empty()) link_ = head.link[0];
    if (status_ == 200) total_length_ = head.content_length;
    if (auto range = parse_content_range(head.content_range); status_ == 206 && range && !range->unsatisfied) {
        range_start_ = range->first;
        total_length_ = range->blob_bytes;
    }
    note_rate_limit(head.ratelimit_remaining);
}

/// "99;w=21600": what is left, of a window of so many seconds.
void ExchangeOfUpstream::note_rate_limit(std::string_view remaining) noexcept {
    std::int64_t left = 0;
    auto parsed = std::from_chars(remaining.data(), remaining.data() + remaining.size(), left);
    if (parsed.ec == std::errc() && left >= 0) upstream_.counters.ratelimit_remaining.store(left, std::memory_order_relaxed);
}

Task<Result<std::size_t>> ExchangeOfUpstream::read(MutableBytes into) {
    auto time = Loop::current().time();
    if (time - window_start_ >= stall_window) {
        if (window_bytes_ < stall_bytes_min) co_return Error{Fault::upstream, Code::timeout};
        window_start_ = time;
        window_bytes_ = 0;
    }
    auto got = co_await connection_->read_body(into, time + stall_window);
    if (!got) co_return got;
    window_bytes_ += *got;
    upstream_.counters.bytes.fetch_add(*got, std::memory_order_relaxed);
    co_return got;
}

Task<void> ExchangeOfUpstream::finish() {
    if (!connection_) co_return;
    co_await pool_.give_back(std::move(connection_));
    slots_.release();
}

}  // namespace entrepot
