#include "entrepot/shard/box.h"

#include "entrepot/base/log.h"

#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::string_view version = "0.1.0";

/// Those of the file; login servers that only rules name are added with the rules.
std::vector<UpstreamSpec> specs_of(const Config& config) {
    std::vector<UpstreamSpec> specs;
    for (auto& upstream : config.upstreams) specs.push_back(spec_of(upstream));
    return specs;
}

Store::Options store_options(const StoreConfig& config) {
    Store::Options options;
    options.directory = config.path;
    options.volumes = config.volumes;
    options.scrub_period = config.scrub;
    if (config.capacity.percent) options.capacity_percent = *config.capacity.percent;
    else options.capacity_bytes = config.capacity.bytes;
    return options;
}

Result<Address, std::string> address_of(const ListenAddress& listen) {
    auto address = Address::parse(listen.host, listen.port);
    if (!address) return fmt::format("cannot listen on '{}': not an IP address", listen.host);
    return *address;
}

Result<gid_t, std::string> group_of(const std::string& name) {
    std::array<char, 16 * KiB> space;
    struct ::group entry {};
    struct ::group* found = nullptr;
    int error = ::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
    if (found) return found->gr_gid;
    return fmt::format("[server] admin_group: there is no group '{}'{}", name,
                       error ? fmt::format(" ({})", std::strerror(error)) : "");
}

Result<AdminPlaces, std::string> places_of(const ServerConfig& server) {
    AdminPlaces places;
    for (auto& admin : server.admin) {
        if (!admin.unix_path.empty()) {
            places.sockets.push_back({.path = admin.unix_path, .optional = !server.admin_given});
            continue;
        }
        auto address = address_of(admin);
        if (!address) return address.error();
        places.addresses.push_back(*address);
    }
    if (server.admin_group.empty()) return places;
    auto group = group_of(server.admin_group);
    if (!group) return group.error();
    places.socket_group = *group;
    return places;
}

}  // namespace

Box::~Box() = default;

Result<std::unique_ptr<Box>, std::string> Box::open(const Config& config, Options options) {
    std::unique_ptr<Box> box(new Box(std::move(options)));
    box->started_ = now();
    for (auto& listen : config.server.listen) {
        auto address = address_of(listen);
        if (!address) return address.error();
        box->options_.shard.listen.push_back(*address);
        box->options_.upstream.own_addresses.push_back(address->text());
    }
    auto places = places_of(config.server);
    if (!places) return places.error();
    box->admin_places_ = *std::move(places);
    for (auto& address : box->admin_places_.addresses) box->options_.upstream.own_addresses.push_back(address.text());
    box->store_directory_ = config.store.path;

    box->options_.upstream.services = config.services;
    auto upstreams = UpstreamTable::make(specs_of(config), box->options_.upstream);
    if (!upstreams) return upstreams.error();
    box->upstreams_ = *std::move(upstreams);
    if (config.tls) {
        auto tls = TlsServerContext::load(config.tls->certificate, config.tls->private_key);
        if (!tls) return tls.error();
        box->tls_ = *std::move(tls);
    }
    if (!config.server.access_log.empty()) {
        auto log = AccessLogFile::open(config.server.access_log);
        if (!log) return log.error();
        box->access_log_ = *std::move(log);
    }
    auto store_opening = store_options(config.store);
    store_opening.ledger_map_bytes = box->options_.ledger_map_bytes;
    store_opening.memory_bytes = box->options_.memory_bytes;
    auto store = Store::open(store_opening);
    if (!store) return store.error();
    box->store_ = *std::move(store);
    auto control = Control::open(config, box->store_->ledger(), *box->upstreams_);
    if (!control) return control.error();
    box->control_ = *std::move(control);
    box->entrance_.public_url = config.server.public_url;
    return box;
}

Result<void, std::string> Box::add_shard(unsigned index, std::unique_ptr<Ring> ring) {
    SharedParts shared{*store_, *upstreams_, team_, control_->routing(), entrance_, tls_.get(), access_log_.get()};
    auto shard = Shard::make(std::move(ring), shared, options_.shard);
    if (!shard) return shard.error();
    shards_[index] = *std::move(shard);
    return {};
}

void Box::connect() {
    std::vector<Shard*> all;
    for (auto& shard : shards_) {
        all.push_back(shard.get());
        team_.members.push_back(&shard->cache());
    }
    for (auto& shard : shards_) shard->meet(all);
    upstreams_->set_home(shards_.front()->loop());
    entrance_.desk.set_home(shards_.front()->loop());
    control_->set_publish([this](std::shared_ptr<const Routing> routing) { return publish(std::move(routing)); });
    store_->set_pressure_relief([this] { return shards_.front()->cache().relieve_pressure(); });
}

void Box::remove_shard(unsigned index) { shards_[index].reset(); }

/// Runs `step(shard)`, which does not wait, on every shard's thread.
template <typename Step>
Task<void> Box::tell_every_shard(Step step) {
    for (auto& shard : shards_) {
        auto told = [&] {
            step(*shard);
            return true;
        };
        (void)co_await call_on(shard->loop(), told);
    }
}

Task<void> Box::publish(std::shared_ptr<const Routing> routing) {
    auto use = [&routing](Shard& shard) { shard.registry().use(routing); };
    co_await tell_every_shard(use);
}

void Box::start(std::function<void(Result<void, std::string>)> ready) {
    ++under_way_;
    services_.start(start_all(std::move(ready)));
}

Task<void> Box::start_all(std::function<void(Result<void, std::string>)> ready) {
    auto started = co_await start_parts();
    --under_way_;
    under_way_ended_.notify_all();
    if (!started || !stop_asked_.load()) ready(std::move(started));
}

Task<Result<void, std::string>> Box::start_parts() {
    AdminContext context;
    context.control = control_.get();
    context.cache = &shards_.front()->cache();
    purge_ = std::make_unique<Purge>(team_, *store_);
    context.purge = purge_.get();
    auto& sources = context.metrics;
    for (auto& shard : shards_) sources.shards.push_back(shard->metric_sources());
    sources.store = &store_->counters();
    sources.disks = store_->disks();
    sources.upstreams = upstreams_.get();
    sources.logins = &entrance_.desk.counters();
    sources.watchdog = &watchdog_;
    sources.started = started_;
    sources.version = version;
    admin_token_ = std::make_unique<AdminToken>(store_directory_);
    co_await admin_token_->prepare();
    context.token = admin_token_.get();
    context.socket_group = admin_places_.socket_group ? *admin_places_.socket_group : ::getegid();
    auto admin = shards_.front()->open_admin(admin_places_, std::move(context));
    if (!admin) co_return admin;
    shards_.front()->start_admin();
    auto loaded = co_await store_->start();
    if (!loaded) co_return std::string("the store cannot be loaded: ") + std::string(name_of(loaded.error().code));
    store_started_ = true;
    if (stop_asked_.load()) co_return Result<void, std::string>();
    co_await load_token_key();
    auto begin = [](Shard& shard) { shard.start(); };
    co_await tell_every_shard(begin);
    shards_.front()->set_ready(true);
    co_return Result<void, std::string>();
}

/// Pull tokens outlive a restart when their key does. Before any shard takes a connection.
Task<void> Box::load_token_key() {
    auto& ledger = store_->ledger();
    bool known = false;
    ledger.each_setting([&](std::string_view key, std::string_view text) {
        if (key == token_key_setting) known = entrance_.use_key(text);
    });
    if (known) co_return;
    std::vector<LedgerChange> changes;
    changes.push_back(PutSetting{std::string(token_key_setting), entrance_.key_text()});
    auto kept = co_await ledger.apply(std::move(changes));
    if (!kept)
        log_warning("the ledger cannot keep the key of pull tokens ({}): clients log in again after a restart",
                    name_of(kept.error().code));
}

Result<void, std::string> Box::reopen_access_log() { return access_log_ ? access_log_->reopen() : Result<void, std::string>(); }

void Box::reload(Config config, std::function<void(Result<void, std::string>)> done) {
    auto message = std::make_unique<ReloadMessage>();
    message->box = this;
    message->config = std::move(config);
    message->done = std::move(done);
    message->run = [](Message& arrived) {
        std::unique_ptr<ReloadMessage> mine(&static_cast<ReloadMessage&>(arrived));
        auto& box = *mine->box;
        box.services_.start(box.reload_here(std::move(mine)));
    };
    shards_.front()->loop().post(*message.release());
}

Task<void> Box::reload_here(std::unique_ptr<ReloadMessage> message) {
    ++under_way_;
    auto reloaded = co_await control_->reload(std::move(message->config));
    message->done(std::move(reloaded));
    --under_way_;
    under_way_ended_.notify_all();
}

void Box::stop() noexcept {
    if (stop_asked_.exchange(true)) return;
    stop_message_.box = this;
    stop_message_.run = [](Message& message) {
        auto& box = *static_cast<StopMessage&>(message).box;
        box.services_.start(box.stop_all());
    };
    shards_.front()->loop().post(stop_message_);
}

template <typename Phase>
Task<void> Box::on_every_shard(Phase phase) {
    for (auto& shard : shards_) {
        auto work = [&] { return phase(*shard); };
        (void)co_await run_on(shard->loop(), work);
    }
}

Task<void> Box::stop_all() {
    // A start or a reload that is under way comes to its end first: a start sees that a stop was asked for.
    while (under_way_ > 0) (void)co_await under_way_ended_.wait();
    shards_.front()->set_ready(false);
    if (purge_) purge_->interrupt();
    auto begin_drain = [](Shard& shard) { shard.begin_drain(); };
    co_await tell_every_shard(begin_drain);
    auto deadline = Loop::current().time() + options_.drain_timeout;
    auto until_drained = [deadline](Shard& shard) { return shard.until_drained(deadline); };
    co_await on_every_shard(until_drained);
    auto interrupt = [](Shard& shard) { shard.interrupt(); };
    co_await tell_every_shard(interrupt);
    auto stop_fetching = [](Shard& shard) { return shard.stop_fetching(); };
    co_await on_every_shard(stop_fetching);
    auto close = [](Shard& shard) { return shard.close(); };
    co_await on_every_shard(close);
    admin_token_.reset();
    if (store_started_) co_await store_->stop();
    for (auto& shard : shards_) shard->loop().stop();
}

}  // namespace entrepot
