#include "entrepot/shard/shard.h"

#include "entrepot/base/log.h"

namespace entrepot {
namespace {

constexpr Duration drain_check_interval = milliseconds(10);
constexpr std::size_t admin_connections_max = 128;  // few callers, and outside of what descriptors.h shares out
constexpr Duration admin_idle_timeout = seconds(30);

}  // namespace

Shard::Shard(std::unique_ptr<Ring> ring, const SharedParts& shared, const ShardOptions& options)
    : loop_(std::move(ring)), buffers_(loop_.ring(), options.buffers),
      upstreams_(Upstreams::make(shared.upstreams)), tools_{shared.store, *upstreams_, buffers_,
                                                            digests_,     records_,    cache_counters_},
      cache_(shared.team, loop_, tools_, cache_counters_, options.cache),
      registry_(cache_, shared.routing, registry_counters_, shared.entrance),
      access_log_(shared.access_log ? std::optional<AccessLog>(std::in_place, *shared.access_log) : std::nullopt),
      connections_(registry_, shared.tls, options.connections, access_log_ ? &*access_log_ : nullptr) {}

Shard::~Shard() { loop_.enter(); }

Result<std::unique_ptr<Shard>, std::string> Shard::make(std::unique_ptr<Ring> ring, const SharedParts& shared,
                                                        const ShardOptions& options) {
    std::unique_ptr<Shard> shard(new Shard(std::move(ring), shared, options));
    if (shared.tls) shared.tls->prepare();  // now rather than in the first client's handshake
    for (auto& address : options.listen) {
        auto listener = Listener::open(address, Accepting::with_first_bytes);
        if (!listener) return listener.error();
        shard->acceptors_.push_back(std::make_unique<Acceptor>(shard->loop_, *std::move(listener), shard->connections_));
    }
    return shard;
}

void Shard::meet(const std::vector<Shard*>& all) {
    for (std::size_t i = 0; i < acceptors_.size(); ++i) {
        std::vector<Acceptor*> peers;
        for (auto* other : all) peers.push_back(other->acceptors_[i].get());
        acceptors_[i]->set_peers(std::move(peers));
    }
}

Connections::Options Shard::AdminParts::admin_connections() {
    Connections::Options options;
    options.connections_max = admin_connections_max;
    options.idle_timeout = admin_idle_timeout;
    return options;
}

Result<void, std::string> Shard::open_admin(const AdminPlaces& places, AdminContext context) {
    context.upstreams = upstreams_.get();
    auto parts = std::make_unique<AdminParts>(std::move(context));
    auto add = [&](std::unique_ptr<Listener> listener) {
        parts->acceptors.push_back(std::make_unique<Acceptor>(loop_, std::move(listener), parts->connections));
    };
    Result<void, std::string> failed;
    for (auto& address : places.addresses) {
        auto listener = Listener::open(address, Accepting::with_first_bytes);
        if (listener) add(*std::move(listener));
        else if (failed) failed = listener.error();
    }
    for (auto& socket : places.sockets) {
        auto listener = Listener::open_unix(socket.path, places.socket_group);
        if (listener) add(*std::move(listener));
        else if (socket.optional) log_info("{} (not in the configuration, so done without)", listener.error());
        else if (failed) failed = listener.error();
    }
    admin_ = std::move(parts);  // also after a failure: close() gives back what was opened
    return failed;
}

std::string Shard::admin_text() const {
    std::string text;
    for (auto& acceptor : admin_->acceptors) {
        if (!text.empty()) text += " and ";
        text += acceptor->text();
    }
    return text;
}

MetricSources::ShardSources Shard::metric_sources() const noexcept {
    return {&loop_, &cache_counters_, &registry_counters_, &connections_, &buffers_, access_log_ ? &*access_log_ : nullptr};
}

void Shard::start() {
    accepting_ = true;
    for (auto& acceptor : acceptors_) services_.start(acceptor->run());
    services_.start(cache_.housekeeping());
    if (access_log_) services_.start(access_log_->run());
}

void Shard::start_admin() {
    if (!admin_) return;
    admin_accepting_ = true;
    for (auto& acceptor : admin_->acceptors) services_.start(acceptor->run());
}

void Shard::set_ready(bool ready) noexcept {
    if (admin_) admin_->admin.set_ready(ready);
}

void Shard::begin_drain() noexcept {
    for (auto& acceptor : acceptors_) acceptor->stop();
    connections_.drain();
}

Task<void> Shard::until_drained(Instant deadline) {
    while (connections_.open() > 0 && loop_.time() < deadline) co_await Sleep(drain_check_interval);
}

void Shard::interrupt() noexcept {
    connections_.interrupt();
    upstreams_->interrupt();
}

Task<void> Shard::stop_fetching() {
    co_await connections_.close();
    co_await cache_.close();
}

Task<void> Shard::close() {
    if (admin_) {
        for (auto& acceptor : admin_->acceptors) {
            acceptor->stop();
            if (!admin_accepting_) co_await acceptor->run();
        }
        admin_->connections.interrupt();
        co_await admin_->connections.close();
    }
    // A start that failed leaves listeners that nobody accepts from; stopped as they are, run() only closes them.
    for (auto& acceptor : acceptors_) {
        if (!accepting_) co_await acceptor->run();
    }
    if (access_log_) access_log_->stop();
    co_await services_.close();
    co_await upstreams_->close();
}

}  // namespace entrepot
