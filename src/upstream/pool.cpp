#include "upstream/pool.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr Duration rest_time_max = seconds(1);  // for the rest of an error page

UpstreamFailure connect_failure(const Error& error, const Origin& origin, std::string_view why = {}) {
    auto text = origin.text();
    switch (error.code) {
        case Code::name_unresolved:
            return make_failure(error.fault, error.code, fmt::format("the name {} has no address", origin.host));
        case Code::address_forbidden:
            return make_failure(
                Fault::policy, error.code,
                fmt::format("{} is on a private address; set allow_private for the upstream if that is meant", text));
        case Code::timeout:
            return make_failure(error.fault, error.code, fmt::format("{} did not accept a connection in time", text));
        case Code::tls_certificate: return make_failure(error.fault, error.code, fmt::format("{} is not trusted: {}", text, why));
        case Code::tls_handshake:
            return make_failure(error.fault, error.code, fmt::format("the TLS handshake with {} failed: {}", text, why));
        case Code::busy: return make_failure(error.fault, error.code, fmt::format("no room for a connection to {}", text));
        case Code::refused: return make_failure(error.fault, error.code, fmt::format("{} refuses connections", text));
        default:
            return make_failure(error.fault, error.code, fmt::format("cannot connect to {} ({})", text, name_of(error.code)));
    }
}

/// Where clouds keep the metadata service that hands out the machine's own credentials.
bool is_link_local(const Address& address) {
    auto text = address.ip_text();
    auto starts_with = [&](std::string_view prefix) { return text.starts_with(prefix); };
    return starts_with("169.254.") || starts_with("::ffff:169.254.") || starts_with("fe8") || starts_with("fe9") ||
           starts_with("fea") || starts_with("feb");
}

UpstreamFailure stopping() { return make_failure(Fault::shutdown, Code::stopping, "the server is stopping"); }

}  // namespace

FairSlots& ConnectionPool::slots(UpstreamState& upstream) {
    auto& slots = slots_[&upstream];
    if (!slots)
        slots = std::make_unique<FairSlots>(options().connections_per_upstream_max, options().waiting_max,
                                            upstream.counters.exchanges);
    return *slots;
}

// ---- opening

Task<Result<ConnectionPool::Lease, UpstreamFailure>> ConnectionPool::open(const UpstreamState& upstream, const Origin& origin,
                                                                          bool fresh, Instant deadline) {
    if (interrupted_) co_return stopping();
    ++leased_;
    Lease lease;
    auto trust = origin.is_tls() ? upstream.trust->current() : nullptr;
    if (!fresh) lease.connection = co_await take_idle(upstream.spec, origin, trust);
    lease.reused = lease.connection != nullptr;
    if (!lease.connection) {
        auto stream = co_await connect(upstream, origin, trust, deadline);
        if (!stream) {
            one_ended();
            if (interrupted_) co_return stopping();
            co_return stream.error();
        }
        lease.connection = std::make_unique<UpstreamConnection>(*std::move(stream), upstream.spec, origin, std::move(trust));
        in_use_.push_back(*lease.connection);
    }
    if (interrupted_) lease.connection->interrupt();
    co_return lease;
}

Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> ConnectionPool::connect(const UpstreamState& upstream,
                                                                               const Origin& origin, const Trust::Context& trust,
                                                                               Instant deadline) {
    auto addresses = co_await resolver_.resolve(origin.host, origin.port, deadline);
    if (!addresses) co_return connect_failure(addresses.error(), origin);
    if (interrupted_) co_return stopping();
    for (auto& address : *addresses) {
        if (table_.is_ourselves(address))
            co_return make_failure(Fault::policy, Code::loop, fmt::format("{} leads back to this server", origin.text()));
        // allow_private speaks of the operator's own network; nobody means this by it.
        bool is_strange = is_link_local(address) && !upstream.owns(origin);
        if (is_strange)
            co_return make_failure(Fault::policy, Code::address_forbidden,
                                   fmt::format("{} is a link-local address", origin.text()));
    }
    auto plain = co_await connect_to(*std::move(addresses), upstream.spec.allow_private, deadline);
    if (!plain) co_return connect_failure(plain.error(), origin);
    if (!origin.is_tls()) co_return *std::move(plain);
    co_return co_await secure(*std::move(plain), *trust, origin, deadline);
}

Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> ConnectionPool::secure(std::unique_ptr<Stream> plain,
                                                                              const TlsClientContext& trust, const Origin& origin,
                                                                              Instant deadline) {
    Handshake handshake;
    handshake.stream = plain.get();  // lives until connect_tls has ended, well or not
    handshakes_.push_back(handshake);
    if (interrupted_) handshake.stream->interrupt();
    std::string why;
    auto secured = co_await connect_tls(std::move(plain), trust, origin.host, deadline, why);
    handshake.unlink();
    if (!secured) co_return connect_failure(secured.error(), origin, why);
    co_return *std::move(secured);
}

/// The newest idle connection of this upstream to the origin that still stands, or null. It is in use then.
Task<std::unique_ptr<UpstreamConnection>> ConnectionPool::take_idle(const UpstreamSpec& upstream, const Origin& origin,
                                                                    const Trust::Context& trust) {
    for (;;) {
        auto connection = find_idle(upstream, origin, trust);
        if (!connection) co_return nullptr;
        in_use_.push_back(*connection);
        bool quiet = co_await connection->is_quiet();
        if (quiet || interrupted_) co_return connection;
        connection->unlink();
        co_await connection->close();
    }
}

std::unique_ptr<UpstreamConnection> ConnectionPool::find_idle(const UpstreamSpec& upstream, const Origin& origin,
                                                              const Trust::Context& trust) {
    UpstreamConnection* newest = nullptr;
    for (auto* connection = idle_.front(); connection; connection = idle_.after(*connection)) {
        if (connection->serves(upstream, origin) && connection->is_trusted_by(trust)) newest = connection;
    }
    if (!newest) return nullptr;
    newest->unlink();
    --idle_count_;
    return std::unique_ptr<UpstreamConnection>(newest);
}

// ---- coming back

Task<void> ConnectionPool::give_back(std::unique_ptr<UpstreamConnection> connection) {
    if (!interrupted_) co_await connection->read_rest_if_short(Loop::current().time() + rest_time_max);
    connection->unlink();
    if (connection->reusable() && !interrupted_ && idle_beside(*connection) < options().idle_connections_max) {
        keep(std::move(connection));
    } else {
        co_await connection->close();
    }
    one_ended();
}

std::size_t ConnectionPool::idle_beside(const UpstreamConnection& given) noexcept {
    std::size_t count = 0;
    for (auto* connection = idle_.front(); connection; connection = idle_.after(*connection))
        count += connection->leads_where(given);
    return count;
}

void ConnectionPool::keep(std::unique_ptr<UpstreamConnection> connection) {
    connection->rest(Loop::current().time());
    idle_.push_back(*connection.release());
    ++idle_count_;
    if (idle_count_ > idle_total_max) closing_.start(close_idle(pop_oldest()));
    if (!reaper_.armed()) arm_reaper();
}

std::unique_ptr<UpstreamConnection> ConnectionPool::pop_oldest() {
    auto* oldest = idle_.pop_front();
    if (oldest) --idle_count_;
    return std::unique_ptr<UpstreamConnection>(oldest);
}

Task<void> ConnectionPool::close_idle(std::unique_ptr<UpstreamConnection> connection) { co_await connection->close(); }

void ConnectionPool::reap() {
    auto time = Loop::current().time();
    for (auto* oldest = idle_.front(); oldest && oldest->idle_since() + options().idle_time_max <= time; oldest = idle_.front()) {
        closing_.start(close_idle(pop_oldest()));
    }
    arm_reaper();
}

void ConnectionPool::arm_reaper() noexcept {
    if (auto* oldest = idle_.front()) Loop::current().timers().arm(reaper_, oldest->idle_since() + options().idle_time_max);
}

void ConnectionPool::one_ended() noexcept {
    ASSERT(leased_ > 0);
    if (--leased_ == 0) all_back_.notify_all();
}

// ---- the end

void ConnectionPool::interrupt() noexcept {
    interrupted_ = true;
    for (auto* connection = in_use_.front(); connection; connection = in_use_.after(*connection)) connection->interrupt();
    for (auto* handshake = handshakes_.front(); handshake; handshake = handshakes_.after(*handshake))
        handshake->stream->interrupt();
    for (auto& [upstream, slots] : slots_) slots->admit_all();
}

Task<void> ConnectionPool::close() {
    interrupt();
    while (leased_ > 0) co_await all_back_.wait();
    Loop::current().timers().disarm(reaper_);
    while (auto connection = pop_oldest()) co_await connection->close();
    co_await closing_.close();
    co_await resolver_.close();
}

}  // namespace entrepot
