#include "upstream/exchange.h"

#include "entrepot/base/lower_case.h"
#include "entrepot/http/range.h"
#include "entrepot/oci/manifest.h"

#include <algorithm>

namespace entrepot {
namespace {

// A transfer that is slower than this is as good as dead; a new connection often is not.
constexpr std::uint64_t bytes_per_second_min = 1 * KiB;

/// Of several Link lines the one that leads to the next page.
std::string_view next_link(FieldValues lines) {
    for (auto line : lines) {
        if (line.find("rel=\"next\"") != line.npos || line.find("rel=next") != line.npos) return line;
    }
    return lines.empty() ? std::string_view() : lines.front();
}

}  // namespace

ExchangeOfUpstream::ExchangeOfUpstream(ConnectionPool& pool, ClientKey client, UpstreamState& upstream, std::size_t endpoint,
                                       std::unique_ptr<UpstreamConnection> connection)
    : pool_(pool), client_(client), upstream_(upstream), endpoint_(endpoint), connection_(std::move(connection)),
      status_(connection_->head().status) {
    auto& head = connection_->head();
    content_length_ = head.content_length;
    content_type_ = lower_case(media_type_of(head.content_type));
    digest_ = head.docker_content_digest;
    filters_applied_ = head.oci_filters_applied;
    link_ = next_link(head.link);
    if (status_ == 200) total_length_ = head.content_length;
    if (auto range = parse_content_range(head.content_range); status_ == 206 && range && !range->unsatisfied) {
        range_start_ = range->first;
        total_length_ = range->blob_bytes;
    }
}

/// Whether a whole window of waiting brought too little; a window that brought enough is followed by a new one.
bool ExchangeOfUpstream::stalled() noexcept {
    auto stall_window = pool_.options().stall_window;
    if (window_waited_ < stall_window) return false;
    auto window_ms = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(stall_window).count());
    if (window_bytes_ < bytes_per_second_min * window_ms / 1000) return true;
    window_waited_ = Duration::zero();
    window_bytes_ = 0;
    return false;
}

Task<Result<bool>> ExchangeOfUpstream::until_readable(Instant until) {
    if (stalled()) co_return Error{Fault::upstream, Code::timeout};
    auto before = Loop::current().time();
    auto patience = before + pool_.options().stall_window;
    auto readable = co_await connection_->until_body_readable(std::min(until, patience));
    if (!readable && pool_.interrupted()) co_return Error{Fault::shutdown, Code::stopping};
    window_waited_ += Loop::current().time() - before;
    if (readable) co_return true;
    if (readable.error().code == Code::timeout && until < patience) co_return false;
    co_return readable.error();
}

Task<Result<std::size_t>> ExchangeOfUpstream::read(MutableBytes into) {
    if (stalled()) co_return Error{Fault::upstream, Code::timeout};
    auto before = Loop::current().time();
    auto got = co_await connection_->read_body(into, before + pool_.options().stall_window);
    if (!got && pool_.interrupted()) co_return Error{Fault::shutdown, Code::stopping};
    if (!got) co_return got;
    window_waited_ += Loop::current().time() - before;
    window_bytes_ += *got;
    upstream_.counters.bytes.fetch_add(*got, std::memory_order_relaxed);
    co_return got;
}

Task<void> ExchangeOfUpstream::finish() {
    if (!connection_) co_return;
    auto connection = std::move(connection_);
    co_await pool_.give_back(std::move(connection));
    pool_.slots(upstream_).release(client_);
}

}  // namespace entrepot
