#include "entrepot/net/resolver.h"

#include "entrepot/base/log.h"
#include "entrepot/base/lower_case.h"
#include "entrepot/io/blocking.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace entrepot {
namespace {

constexpr std::size_t name_bytes_max = 253;  // RFC 1035, without the final dot

/// What one name resolved to, and the lookup that runs for it. Addresses carry port 0.
struct Entry {
    std::vector<Address> addresses;
    Instant looked_up_at;              // of `addresses`
    std::optional<Instant> failed_at;  // of the last lookup, when it failed
    Instant used_at;
    Error failure;
    bool lookup_runs = false;
    unsigned askers = 0;  // tasks inside resolve(): the entry must stay although a notified task no longer waits
    Condition changed;

    bool younger_than(Duration age, Instant time) const noexcept { return !addresses.empty() && time < looked_up_at + age; }
    bool in_use() const noexcept { return lookup_runs || askers > 0; }
};

std::string name_key(std::string_view given) {
    auto host = lower_case(given);
    if (host.ends_with('.')) host.pop_back();
    return host;
}

bool is_name(const std::string& name) { return !name.empty() && name.size() <= name_bytes_max && name.find('\0') == name.npos; }

/// RFC 8305 section 4: the families take turns, beginning with the family that the system put first.
std::vector<Address> alternate_families(const std::vector<Address>& addresses) {
    std::vector<Address> first, second, result;
    for (const auto& address : addresses) (address.family() == addresses.front().family() ? first : second).push_back(address);
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size()) result.push_back(first[i]);
        if (i < second.size()) result.push_back(second[i]);
    }
    return result;
}

}  // namespace

struct Resolver::Impl {
    const Options options;
    std::unordered_map<std::string, std::unique_ptr<Entry>> entries;
    TaskGroup lookups;

    bool fresh(const Entry& entry, Instant time) const noexcept { return entry.younger_than(options.fresh_time, time); }
    bool usable(const Entry& entry, Instant time) const noexcept { return entry.younger_than(options.stale_time_max, time); }
    bool failed_just_now(const Entry& entry, Instant time) const noexcept {
        return entry.failed_at && time < *entry.failed_at + options.failure_pause;
    }
    Entry* find_or_make(const std::string& name);
    bool make_room();
    Task<void> look_up(std::string name, Entry& entry);
    Task<Result<void>> refresh(std::string name, Entry& entry, Instant deadline);
};

Entry* Resolver::Impl::find_or_make(const std::string& name) {
    auto found = entries.find(name);
    if (found != entries.end()) return found->second.get();
    if (entries.size() >= names_max && !make_room()) return nullptr;
    return entries.emplace(name, std::make_unique<Entry>()).first->second.get();
}

/// Forgets the name that was asked for the longest time ago. A scan, which a full table makes once per new name, beside a lookup in the network.
bool Resolver::Impl::make_room() {
    auto oldest = entries.end();
    for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
        if (entry->second->in_use()) continue;
        if (oldest == entries.end() || entry->second->used_at < oldest->second->used_at) oldest = entry;
    }
    if (oldest == entries.end()) return false;
    entries.erase(oldest);
    return true;
}

Task<void> Resolver::Impl::look_up(std::string name, Entry& entry) {
    entry.lookup_runs = true;
    auto ask = [&name, this] { return options.look_up(name, 0); };
    auto answer = co_await run_blocking(Lane::resolver, ask);
    auto time = Loop::current().time();
    if (answer && !answer->empty()) {
        if (answer->size() > addresses_max) answer->resize(addresses_max);
        entry.addresses = alternate_families(*answer);
        entry.looked_up_at = time;
        entry.failed_at.reset();
    } else {
        bool first_failure = !std::exchange(entry.failed_at, time);
        entry.failure = answer ? Error{Fault::upstream, Code::name_unresolved, 0} : answer.error();
        if (first_failure && usable(entry, time)) {
            log_warning("cannot resolve {}: the addresses of {} s ago are used", escaped(name, name_bytes_max),
                        std::chrono::duration_cast<seconds>(time - entry.looked_up_at).count());
        }
    }
    entry.lookup_runs = false;
    entry.changed.notify_all();
}

/// Ends when the entry has a fresh answer, or with the reason why it has none.
Task<Result<void>> Resolver::Impl::refresh(std::string name, Entry& entry, Instant deadline) {
    if (failed_just_now(entry, Loop::current().time())) co_return entry.failure;
    if (!entry.lookup_runs) lookups.start(look_up(name, entry));
    while (entry.lookup_runs) {
        bool answered = co_await entry.changed.wait(deadline);
        if (!answered) co_return Error{Fault::upstream, Code::timeout, ETIMEDOUT};
    }
    if (entry.failed_at) co_return entry.failure;
    co_return {};
}

Resolver::Resolver() : Resolver(Options{}) {}
Resolver::Resolver(const Options& options) : impl_(new Impl{.options = options, .entries = {}, .lookups = {}}) {}
Resolver::~Resolver() = default;

Task<Result<std::vector<Address>>> Resolver::resolve(std::string host, std::uint16_t port, Instant deadline) {
    if (auto literal = Address::parse(host, port)) co_return std::vector<Address>{*literal};
    auto name = name_key(host);
    if (!is_name(name)) co_return Error{Fault::upstream, Code::name_unresolved, 0};
    auto time = Loop::current().time();
    Entry* entry = impl_->find_or_make(name);
    if (!entry) co_return Error{Fault::capacity, Code::busy, 0};
    entry->used_at = time;
    if (!impl_->fresh(*entry, time)) {
        auto patience = impl_->usable(*entry, time) ? std::min(deadline, time + impl_->options.stale_patience) : deadline;
        ++entry->askers;
        auto refreshed = co_await impl_->refresh(name, *entry, patience);
        --entry->askers;
        if (!refreshed && !impl_->usable(*entry, Loop::current().time())) co_return refreshed.error();
    }
    std::vector<Address> result;
    for (const auto& address : entry->addresses) result.push_back(address.with_port(port));
    co_return result;
}

Task<void> Resolver::close() { co_await impl_->lookups.close(); }

}  // namespace entrepot
