#include "entrepot/net/resolver.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"

#include <algorithm>
#include <unordered_map>

namespace entrepot {
namespace {

constexpr std::size_t name_bytes_max = 253;               // RFC 1035, without the final dot
constexpr Duration fresh_time = seconds(30);
constexpr Duration stale_time_max = std::chrono::hours(1);
constexpr Duration stale_patience = seconds(2);           // a lookup slower than this counts as failing while an old answer is at hand
constexpr Duration failure_pause = seconds(1);            // a name that just failed is not looked up again at once

/// What one name resolved to, and the lookup that runs for it. Addresses carry port 0.
struct Entry {
    std::vector<Address> addresses;
    Instant looked_up_at;  // of `addresses`
    Instant failed_at{INT64_MIN};
    Instant used_at;
    Error failure;
    bool lookup_runs = false;
    unsigned askers = 0;  // tasks inside resolve(): the entry must stay although a notified task no longer waits
    Condition changed;

    bool fresh(Instant time) const noexcept { return !addresses.empty() && time < looked_up_at + fresh_time; }
    bool usable(Instant time) const noexcept { return !addresses.empty() && time < looked_up_at + stale_time_max; }
    bool failed_just_now(Instant time) const noexcept { return failed_at.ns != INT64_MIN && time < failed_at + failure_pause; }
    bool in_use() const noexcept { return lookup_runs || askers > 0; }
};

std::string name_key(std::string host) {
    std::transform(host.begin(), host.end(), host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
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
    std::unordered_map<std::string, std::unique_ptr<Entry>> entries;
    TaskGroup lookups;

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
    auto ask = [&name] { return look_up_addresses(name, 0); };
    auto answer = co_await run_blocking(Lane::resolver, ask);
    auto time = Loop::current().time();
    if (answer) {
        if (answer->size() > addresses_max) answer->resize(addresses_max);
        entry.addresses = alternate_families(*answer);
        entry.looked_up_at = time;
        entry.failed_at = {INT64_MIN};
    } else {
        if (entry.usable(time) && !entry.failed_just_now(time)) {
            log_warning("cannot resolve {}: the answer of {} s ago is used", escaped(name, name_bytes_max),
                        std::chrono::duration_cast<seconds>(time - entry.looked_up_at).count());
        }
        entry.failure = answer.error();
        entry.failed_at = time;
    }
    entry.lookup_runs = false;
    entry.changed.notify_all();
}

/// Ends when the entry has a fresh answer, or with the reason why it has none.
Task<Result<void>> Resolver::Impl::refresh(std::string name, Entry& entry, Instant deadline) {
    auto asked_at = Loop::current().time();
    if (entry.failed_just_now(asked_at)) co_return entry.failure;
    if (!entry.lookup_runs) lookups.start(look_up(name, entry));
    while (entry.lookup_runs) {
        bool answered = co_await entry.changed.wait(deadline);
        if (!answered) co_return Error{Fault::upstream, Code::timeout, ETIMEDOUT};
    }
    if (entry.failed_at >= asked_at) co_return entry.failure;
    co_return {};
}

Resolver::Resolver() : impl_(std::make_unique<Impl>()) {}
Resolver::~Resolver() = default;

Task<Result<std::vector<Address>>> Resolver::resolve(std::string host, std::uint16_t port, Instant deadline) {
    if (auto literal = Address::parse(host, port)) co_return std::vector<Address>{*literal};
    auto name = name_key(std::move(host));
    if (!is_name(name)) co_return Error{Fault::upstream, Code::name_unresolved, 0};
    auto time = Loop::current().time();
    Entry* entry = impl_->find_or_make(name);
    if (!entry) co_return Error{Fault::capacity, Code::busy, 0};
    entry->used_at = time;
    if (!entry->fresh(time)) {
        auto patience = entry->usable(time) ? std::min(deadline, time + stale_patience) : deadline;
        ++entry->askers;
        auto refreshed = co_await impl_->refresh(name, *entry, patience);
        --entry->askers;
        if (!refreshed && !entry->usable(Loop::current().time())) co_return refreshed.error();
    }
    std::vector<Address> result;
    for (const auto& address : entry->addresses) result.push_back(address.with_port(port));
    co_return result;
}

Task<void> Resolver::close() {
    co_await impl_->lookups.close();
}

}  // namespace entrepot
