#include "admin/wrong_tokens.h"

#include "entrepot/base/log.h"
#include "entrepot/io/await.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr Duration complaint_interval = seconds(10);
constexpr unsigned doublings_max = 8;

/// Who has one IPv6 address usually has a /64 of them.
std::string name_of(const Peer& peer) {
    if (peer.address.family() != AF_INET6) return peer.is_unix ? peer.text() : peer.address.ip_text();
    auto& address = reinterpret_cast<const sockaddr_in6*>(peer.address.data())->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) return peer.address.ip_text();
    std::string network;
    for (std::size_t i = 0; i < 8; ++i) network += fmt::format("{:02x}", address.s6_addr[i]);
    return network;
}

}  // namespace

Task<bool> WrongTokens::wait(Peer peer) {
    auto time = Loop::current().time();
    auto name = name_of(peer);
    auto& source = source_of(name, time);
    source.last = time;
    ++source.wrong;
    complain(peer, source, time);
    if (waiting_ == waiting_max || source.waiting == waiting_of_source_max) co_return false;
    auto length = std::min(wait_longest, wait_first * (1 << std::min(source.wrong - 1, doublings_max)));
    ++waiting_;
    ++source.waiting;
    co_await Sleep(length);
    // A source for which somebody waits is not forgotten, and a map's entries stay where they are.
    --source.waiting;
    --waiting_;
    co_return true;
}

WrongTokens::Source& WrongTokens::source_of(const std::string& name, Instant time) {
    if (sources_.size() >= sources_max && !sources_.contains(name)) forget_one();
    auto& source = sources_[name];
    if (source.waiting == 0 && source.wrong > 0 && time - source.last > forgotten_after) source = {};
    return source;
}

void WrongTokens::forget_one() {
    auto oldest = sources_.end();
    for (auto at = sources_.begin(); at != sources_.end(); ++at) {
        bool older = oldest == sources_.end() || at->second.last < oldest->second.last;
        if (at->second.waiting == 0 && older) oldest = at;
    }
    ASSERT(oldest != sources_.end());  // fewer wait than there are sources
    sources_.erase(oldest);
}

void WrongTokens::complain(const Peer& peer, const Source& source, Instant time) {
    if (time < quiet_until_) return;
    quiet_until_ = time + complaint_interval;
    log_warning("admin: a wrong token from {} ({} from there)", peer.text(), source.wrong);
}

}  // namespace entrepot
