#include "entrepot/net/connect.h"

#include "entrepot/io/await.h"
#include "entrepot/net/plain_stream.h"

#include <algorithm>
#include <deque>

namespace entrepot {
namespace {

constexpr Duration attempt_delay = milliseconds(250);  // RFC 8305 section 5
constexpr std::size_t attempts_max = 16;               // as many as a resolver gives

/// One try at one address. An operation of its own rather than a task, so that a lost race can be cancelled. Owns its socket until take().
class Attempt : private Operation {
  public:
    Attempt(const Address& address, Condition& changed) noexcept
        : Operation(&Attempt::on_completed), address_(address), changed_(changed), ring_(Loop::current().ring()) {}
    ~Attempt() {
        if (socket_ >= 0) ring_.close(socket_);
    }

    void start() noexcept {
        socket_ = ring_.socket(address_.family(), SOCK_STREAM);
        if (socket_ < 0) {
            result_ = socket_;
            return;
        }
        Request request;
        request.kind = Request::Kind::connect;
        request.fd = socket_;
        request.address = const_cast<sockaddr*>(address_.data());
        request.length = address_.length();
        ring_.submit(*this, request);
    }
    void cancel() noexcept {
        if (in_flight()) ring_.cancel(*this);
    }
    bool running() const noexcept { return in_flight(); }
    bool connected() const noexcept { return !in_flight() && result_ == 0; }
    int result() const noexcept { return result_; }
    std::unique_ptr<Stream> take() noexcept { return make_upstream_stream(std::exchange(socket_, -1), address_); }

  private:
    static void on_completed(Operation& operation, std::int32_t result, std::uint32_t, bool) noexcept {
        auto& self = static_cast<Attempt&>(operation);
        self.result_ = result;
        self.changed_.notify_all();
    }

    Address address_;
    Condition& changed_;
    Ring& ring_;
    int socket_ = -1;
    int result_ = -EINPROGRESS;
};

Error error_of(int result) noexcept {
    if (result == -ETIMEDOUT) return {Fault::upstream, Code::timeout, ETIMEDOUT};
    if (result == -ECONNRESET) return {Fault::upstream, Code::reset, ECONNRESET};
    if (result == -EMFILE || result == -ENFILE || result == -ENOBUFS || result == -ENOMEM)
        return {Fault::capacity, Code::busy, -result};
    return {Fault::upstream, Code::refused, -result};
}

/// The attempts at one destination. They are started one after another; the deque never moves them.
class Race {
  public:
    explicit Race(std::vector<Address> addresses) noexcept : addresses_(std::move(addresses)) {}

    Task<Result<std::unique_ptr<Stream>>> run(Instant deadline);

  private:
    bool any_running() const noexcept {
        return std::any_of(attempts_.begin(), attempts_.end(), [](const Attempt& attempt) { return attempt.running(); });
    }
    Attempt* winner() noexcept {
        auto found = std::find_if(attempts_.begin(), attempts_.end(), [](const Attempt& attempt) { return attempt.connected(); });
        return found == attempts_.end() ? nullptr : &*found;
    }
    bool all_started() const noexcept { return attempts_.size() == addresses_.size(); }
    void start_next() noexcept {
        attempts_.emplace_back(addresses_[attempts_.size()], changed_).start();
        next_start_ = Loop::current().time() + attempt_delay;
    }
    /// The newest attempt has failed or had its time: the next address may try.
    bool next_is_due() const noexcept {
        return attempts_.empty() || !attempts_.back().running() || Loop::current().time() >= next_start_;
    }
    int most_telling_failure() const noexcept;
    Task<void> stop();

    std::vector<Address> addresses_;
    Condition changed_;
    std::deque<Attempt> attempts_;
    Instant next_start_;
};

Task<Result<std::unique_ptr<Stream>>> Race::run(Instant deadline) {
    int failure = -ETIMEDOUT;
    while (!winner() && Loop::current().time() < deadline) {
        if (!all_started() && next_is_due()) {
            start_next();
            continue;
        }
        if (!any_running()) {
            failure = most_telling_failure();
            break;
        }
        auto until = all_started() ? deadline : std::min(deadline, next_start_);
        co_await changed_.wait(until);
    }
    co_await stop();
    // Looked up again: a second one may have connected while the others were being stopped, or just at the deadline.
    if (auto* attempt = winner()) co_return attempt->take();
    co_return error_of(failure);
}

/// Of the first address that was worth trying: "network unreachable" for a family this machine lacks tells nothing about the server.
int Race::most_telling_failure() const noexcept {
    auto found = std::find_if(attempts_.begin(), attempts_.end(), [](const Attempt& attempt) {
        int result = attempt.result();
        return result != -ENETUNREACH && result != -EAFNOSUPPORT && result != -EADDRNOTAVAIL;
    });
    return found == attempts_.end() ? attempts_.front().result() : found->result();
}

Task<void> Race::stop() {
    for (auto& attempt : attempts_) attempt.cancel();
    while (any_running()) co_await changed_.wait();
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> connect_to(std::vector<Address> addresses, bool allow_private, Instant deadline) {
    if (addresses.empty()) co_return Error{Fault::upstream, Code::name_unresolved, 0};
    if (!allow_private) std::erase_if(addresses, [](const Address& address) { return address.is_private(); });
    if (addresses.empty()) co_return Error{Fault::policy, Code::address_forbidden, 0};
    if (addresses.size() > attempts_max) addresses.resize(attempts_max);
    Race race(std::move(addresses));
    co_return co_await race.run(deadline);
}

}  // namespace entrepot
