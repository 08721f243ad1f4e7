#pragma once
// Upstreams without a wire: the test decides what each request is answered with, and may hold a body (or a head) until it says so. Requests are kept for
// the test to look at. Lives on one loop.

#include "entrepot/upstream/upstream.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace entrepot {

/// How far a body may flow; the test opens it further. Shared by the test and the exchange.
struct FlowGate {
    std::size_t open_bytes = 0;
    bool open_head = true;
    Condition changed;

    void open_to(std::size_t bytes) {
        open_bytes = bytes;
        open_head = true;
        changed.notify_all();
    }
    void open_all() { open_to(SIZE_MAX); }
};

/// One answer of a fake upstream.
struct Offer {
    int status = 200;
    std::string body;
    std::optional<std::uint64_t> content_length;  ///< of a HEAD; of a GET it is the body's unless `length_untold`
    bool length_untold = false;
    std::uint64_t range_start = 0;
    std::optional<std::uint64_t> total;  ///< else range_start + body
    std::string content_type = "application/octet-stream", docker_content_digest, link, filters_applied;
    std::size_t breaks_after = SIZE_MAX;  ///< of this body
    Error break_error{Fault::upstream, Code::wrong_length};
    std::size_t piece_bytes = SIZE_MAX;  ///< of one read at most
    std::size_t endpoint = 0;
    std::shared_ptr<FlowGate> gate;          ///< none: all of it flows
    std::optional<UpstreamFailure> failure;  ///< in place of an answer
};

inline Offer refusal(Code code, int status = 0, Fault fault = Fault::upstream) {
    Offer offer;
    UpstreamFailure failure;
    failure.error = {fault, code, status};
    failure.why = "the test says so";
    offer.failure = failure;
    return offer;
}

/// The blob (or document), honouring the range that was asked for.
inline Offer whole(std::string body, const UpstreamRequest& request) {
    Offer offer;
    offer.total = body.size();
    offer.content_length = body.size();
    if (request.head) return offer;
    if (request.range_from > 0) {
        if (request.range_from >= body.size()) return refusal(Code::bad_status, 416);
        offer.status = 206;
        offer.range_start = request.range_from;
        body.erase(0, request.range_from);
    }
    offer.body = std::move(body);
    return offer;
}

/// For FakeUpstreams::answer: `body` as whole() gives it, as far as `gate` lets it flow. The body must outlive the answers.
inline auto gated(const std::string& body, std::shared_ptr<FlowGate> gate) {
    return [&body, gate = std::move(gate)](const UpstreamRequest& request) {
        auto offer = whole(body, request);
        offer.gate = gate;
        return offer;
    };
}

class FakeExchange final : public UpstreamExchange {
  public:
    FakeExchange(Offer offer, std::size_t& open) : offer_(std::move(offer)), open_(open) { ++open_; }
    ~FakeExchange() override {
        ASSERT(finished_);
        --open_;
    }

    int status() const noexcept override { return offer_.status; }
    std::optional<std::uint64_t> content_length() const noexcept override {
        if (offer_.length_untold) return std::nullopt;
        return offer_.content_length && offer_.body.empty() ? *offer_.content_length : offer_.body.size();
    }
    std::uint64_t range_start() const noexcept override { return offer_.range_start; }
    std::optional<std::uint64_t> total_length() const noexcept override {
        if (offer_.length_untold) return std::nullopt;
        return offer_.total ? *offer_.total : offer_.range_start + offer_.body.size();
    }
    const std::string& content_type() const noexcept override { return offer_.content_type; }
    const std::string& docker_content_digest() const noexcept override { return offer_.docker_content_digest; }
    const std::string& link() const noexcept override { return offer_.link; }
    const std::string& filters_applied() const noexcept override { return offer_.filters_applied; }
    std::size_t endpoint() const noexcept override { return offer_.endpoint; }

    Task<Result<bool>> until_readable(Instant until) override {
        while (!flows()) {
            bool notified = co_await offer_.gate->changed.wait(until);
            if (!notified) co_return false;
        }
        co_return true;
    }
    Task<Result<std::size_t>> read(MutableBytes into) override {
        auto& gate = offer_.gate;
        while (!flows()) (void)co_await gate->changed.wait();
        auto end = std::min({offer_.body.size(), offer_.breaks_after, gate ? gate->open_bytes : SIZE_MAX});
        auto bytes = std::min({into.size(), end - std::min(at_, end), offer_.piece_bytes});
        if (bytes == 0 && offer_.breaks_after <= at_) co_return offer_.break_error;
        std::copy_n(reinterpret_cast<const std::byte*>(offer_.body.data()) + at_, bytes, into.data());
        at_ += bytes;
        // A real exchange waits for its socket now and then; a fake that never does would hide what happens between.
        co_await Breathe{};
        co_return bytes;
    }
    Task<void> finish() override {
        finished_ = true;
        co_return;
    }

  private:
    bool flows() const noexcept {
        return !offer_.gate || at_ < offer_.gate->open_bytes || at_ >= std::min(offer_.body.size(), offer_.breaks_after);
    }

    Offer offer_;
    std::size_t& open_;
    std::size_t at_ = 0;
    bool finished_ = false;
};

class FakeUpstreams final : public Upstreams {
  public:
    ~FakeUpstreams() override { ASSERT(open == 0); }

    Task<UpstreamAnswer> ask(UpstreamRequest request) override {
        requests.push_back(request);
        co_await Breathe{};
        auto offer = interrupted ? refusal(Code::stopping, 0, Fault::shutdown) : answer(request);
        auto gate = offer.gate;
        while (gate && !gate->open_head) (void)co_await gate->changed.wait();
        if (offer.failure) co_return *offer.failure;
        if (request.head) offer.body.clear();
        std::unique_ptr<UpstreamExchange> exchange = std::make_unique<FakeExchange>(std::move(offer), open);
        co_return exchange;
    }
    void distrust(const UpstreamSpec&, std::size_t endpoint) noexcept override { distrusted.push_back(endpoint); }
    bool spares_refresh(const UpstreamSpec&, const Credential*) noexcept override { return spares; }
    Task<std::vector<CredentialHealth>> check(const UpstreamSpec&, CredentialPointer credential) override {
        co_return credential->health();
    }
    void interrupt() noexcept override { interrupted = true; }
    Task<void> close() override { co_return; }

    std::size_t asked(UpstreamKind kind) const {
        return static_cast<std::size_t>(
            std::count_if(requests.begin(), requests.end(), [kind](auto& request) { return request.kind == kind; }));
    }
    std::size_t asked(std::string_view resource, bool head) const {
        return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [&](auto& request) {
            return request.resource == resource && request.head == head;
        }));
    }

    std::function<Offer(const UpstreamRequest&)> answer = [](const UpstreamRequest&) { return refusal(Code::not_found, 404); };
    std::vector<UpstreamRequest> requests;
    std::vector<std::size_t> distrusted;
    std::size_t open = 0;  ///< exchanges alive
    bool interrupted = false;
    bool spares = true;
};

/// A credential set that is only looked at, never logged in with.
inline CredentialPointer credential_named(const std::string& name, const std::string& login_server = "registry.test") {
    CredentialSpec spec;
    spec.name = spec.scope = name;
    spec.login_server = login_server;
    return Credential::make(std::move(spec));
}

/// Login servers without a transport.
class FakeUpstreamTable final : public UpstreamTable {
  public:
    void renew_trust() override {}
    explicit FakeUpstreamTable(const std::vector<std::string>& login_servers) {
        for (auto& name : login_servers) {
            UpstreamSpec spec;
            spec.login_server = name;
            (void)add(std::move(spec));
        }
    }
    Result<void, std::string> load_trust(const std::string&) override { return {}; }
    Result<const UpstreamSpec*, std::string> add(UpstreamSpec upstream) override {
        specs_.push_back(std::move(upstream));
        counters_.emplace_back();
        return static_cast<const UpstreamSpec*>(&specs_.back());
    }
    Result<void, std::string> check(std::vector<UpstreamSpec>) override { return {}; }
    void set_home(Loop&) noexcept override {}
    const UpstreamSpec* find(std::string_view login_server) const noexcept override {
        for (auto& spec : specs_) {
            if (spec.login_server == login_server) return &spec;
        }
        return nullptr;
    }
    std::size_t count() const noexcept override { return specs_.size(); }
    const UpstreamSpec& at(std::size_t index) const noexcept override { return specs_[index]; }
    const Counters& counters(std::size_t index) const noexcept override { return counters_[index]; }
    Counters& counters_of(std::size_t index) noexcept { return counters_[index]; }

  private:
    std::deque<UpstreamSpec> specs_;
    std::deque<Counters> counters_;
};

}  // namespace entrepot
