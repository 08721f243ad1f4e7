#include "upstream/pool.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr Duration idle_time_max = seconds(50);  // under the 60 s after which many front ends hang up

UpstreamFailure connect_failure(const Error& error, const Origin& origin, std::string_view why = {}) {
    auto text = origin.text();
    switch (error.code) {
        case Code::name_unresolved: return make_failure(Fault::upstream, error.code, fmt::format("the name {} has no address", origin.host));
        case Code::address_forbidden:
            return make_failure(Fault::policy, error.code,
                                fmt::format("{} is on a private address; set allow_private for the upstream if that is meant", text));
        case Code::timeout: return make_failure(Fault::upstream, error.code, fmt::format("{} did not accept a connection in time", text));
        case Code::tls_certificate: return make_failure(Fault::upstream, error.code, fmt::format("{} is not trusted: {}", text, why));
        case Code::tls_handshake: return make_failure(Fault::upstream, error.code, fmt::format("the TLS handshake with {} failed{}{}", text, why.empty() ? "" : ": ", why));
        default: return make_failure(Fault::upstream, error.code, fmt::format("{} refuses connections ({})", text, name_of(error.code)));
    }
}

}  // namespace

Semaphore& ConnectionPool::slots(std::size_t upstream) {
    auto& slots = slots_[upstream];
    if (!slots) slots = std::make_unique<Semaphore>(table_.options().connections_per_upstream_max, table_.options().waiting_max);
    return *slots;
}

Task<Result<ConnectionPool::Lease, UpstreamFailure>> ConnectionPool::open(const UpstreamState& upstream, const Origin& origin, bool fresh, Instant deadline) {
    co_await close_expired();
    Lease lease;
    if (!fresh) lease.connection = take_idle(origin);
    lease.reused = lease.connection != nullptr;
    if (!lease.connection) {
        auto stream = co_await connect(upstream, origin, deadline);
        if (!stream) co_return stream.error();
        lease.connection = std::make_unique<UpstreamConnection>(*std::move(stream), origin);
    }
    in_use_.push_back(*lease.connection);
    if (interrupted_) lease.connection->interrupt();
    co_return lease;
}

Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> ConnectionPool::connect(const UpstreamState& upstream, const Origin& origin, Instant deadline) {
    auto addresses = co_await resolver_.resolve(origin.host, origin.port, deadline);
    if (!addresses) co_return connect_failure(addresses.error(), origin);
    for (auto& address : *addresses) {
        if (table_.is_ourselves(address)) co_return make_failure(Fault::policy, Code::loop, fmt::format("{} leads back to this server", origin.text()));
    }
    auto plain = co_await connect_to(*std::move(addresses), upstream.spec.allow_private, deadline);
    if (!plain) co_return connect_failure(plain.error(), origin);
    if (!origin.is_tls()) co_return *std::move(plain);
    std::string why;
    auto secured = co_await connect_tls(*std::move(plain), *upstream.tls, origin.host, deadline, why);
    if (!secured) co_return connect_failure(secured.error(), origin, why);
    co_return *std::move(secured);
}

std::unique_ptr<UpstreamConnection> ConnectionPool::take_idle(const Origin& origin) {
    auto found = idle_.find(origin.text());
    if (found == idle_.end()) return nullptr;
    auto* newest = found->second.connections.back();
    if (!newest) return nullptr;
    newest->unlink();
    --found->second.count;
    return std::unique_ptr<UpstreamConnection>(newest);
}

Task<void> ConnectionPool::give_back(std::unique_ptr<UpstreamConnection> connection) {
    connection->unlink();
    if (!interrupted_) co_await connection->read_rest_if_short(Loop::current().time() + seconds(1));
    auto& idle = idle_[connection->origin().text()];
    bool keep = connection->reusable() && !interrupted_ && idle.count < table_.options().idle_connections_max;
    if (!keep) {
        co_await connection->close();
        co_return;
    }
    connection->idle_since = Loop::current().time();
    idle.connections.push_back(*connection.release());
    ++idle.count;
}

Task<void> ConnectionPool::close_expired() {
    auto expired_before = Loop::current().time() + -idle_time_max;
    std::vector<std::unique_ptr<UpstreamConnection>> expired;
    for (auto& [origin, idle] : idle_) {
        for (auto* oldest = idle.connections.front(); oldest && oldest->idle_since < expired_before; oldest = idle.connections.front()) {
            oldest->unlink();
            --idle.count;
            expired.emplace_back(oldest);
        }
    }
    for (auto& connection : expired) co_await connection->close();
}

void ConnectionPool::interrupt() noexcept {
    interrupted_ = true;
    for (auto* connection = in_use_.front(); connection; connection = in_use_.after(*connection)) connection->interrupt();
}

Task<void> ConnectionPool::close() {
    ASSERT(in_use_.empty());
    interrupted_ = true;
    std::vector<std::unique_ptr<UpstreamConnection>> all;
    for (auto& [origin, idle] : idle_) {
        while (auto* connection = idle.connections.pop_front()) all.emplace_back(connection);
    }
    idle_.clear();
    for (auto& connection : all) co_await connection->close();
    co_await resolver_.close();
}

}  // namespace entrepot
