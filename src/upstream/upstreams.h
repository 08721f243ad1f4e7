#pragma once
// Upstreams of one shard: the walk of an exchange from "ask" to a usable response head.
//
//   ask (pause, circuit, slot) -> rounds within the budget -> each endpoint -> attempt
//   attempt: send, 401 -> authorize -> send, 3xx -> follow -> send, 200 / 206

#include "upstream/logins.h"
#include "upstream/pool.h"
#include "upstream/tokens.h"

namespace entrepot {

class UpstreamsOfShard final : public Upstreams {
  public:
    explicit UpstreamsOfShard(UpstreamTableOfProcess& table);
    ~UpstreamsOfShard() override;

    Task<UpstreamAnswer> ask(UpstreamRequest request) override;
    void distrust(const UpstreamSpec& upstream, std::size_t endpoint) noexcept override;
    bool spares_refresh(const UpstreamSpec& upstream, const Credential* credential) noexcept override;
    void interrupt() noexcept override;
    Task<void> close() override;

    /// What the realm of a token order answers, within one first_byte_timeout.
    Task<Result<std::string, UpstreamFailure>> fetch_document(const TokenOrder& order, Authorization login);
    Logins& logins() noexcept { return logins_; }

  private:
    /// One attempt at one endpoint: where it stands among redirects and challenges.
    struct Attempt;
    /// What of a response that is no success decides the next step; the connection is free again.
    struct Verdict;
    using Connection = std::unique_ptr<UpstreamConnection>;

    std::optional<UpstreamFailure> refusal(const UpstreamRequest& request, UpstreamState& upstream) const;
    Task<UpstreamAnswer> ask_admitted(const UpstreamRequest& request, UpstreamState& upstream);
    Task<UpstreamAnswer> ask_with_retries(const UpstreamRequest& request, UpstreamState& upstream);
    Task<UpstreamAnswer> ask_each_endpoint(const UpstreamRequest& request, UpstreamState& upstream);
    Task<UpstreamAnswer> attempt(const UpstreamRequest& request, UpstreamState& upstream, std::size_t endpoint);
    Task<Result<Connection, UpstreamFailure>> send(const UpstreamRequest& request, UpstreamState& upstream,
                                                   const Attempt& attempt);
    Task<std::optional<UpstreamFailure>> react(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt,
                                               Verdict& verdict);

    Task<std::optional<UpstreamFailure>> authorize(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt,
                                                   Verdict& verdict);
    Task<AuthorizationAnswer> token_for(const Challenge& challenge, const UpstreamRequest& request, UpstreamState& upstream,
                                        Attempt& attempt, const Authorization& refused);
    Task<AuthorizationAnswer> token(const TokenOrder& order, std::string refused);
    Task<std::vector<Challenge>> ask_for_challenges(const UpstreamRequest& request, UpstreamState& upstream,
                                                    const Origin& endpoint);
    std::optional<UpstreamFailure> follow_redirect(const UpstreamState& upstream, Attempt& attempt, const Verdict& verdict) const;
    UpstreamFailure failure_of(const UpstreamRequest& request, UpstreamState& upstream, const Origin& origin,
                               const Verdict& verdict) const;

    UpstreamTableOfProcess& table_;
    Loop& loop_;
    ConnectionPool pool_;
    Logins logins_;
    Tokens tokens_;
    Condition stopped_;
    bool stopping_ = false;
};

}  // namespace entrepot
