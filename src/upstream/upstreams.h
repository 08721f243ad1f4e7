#pragma once
// Upstreams of one shard: the walk of an exchange from "ask" to a usable response head.

#include "upstream/pool.h"
#include "upstream/secret.h"
#include "upstream/tokens.h"

namespace entrepot {

/// Retries cost: each first attempt earns a fifth of one, each second ten, at most 100 (Finagle's budget: 20 % and 10/s).
class RetryBudget {
  public:
    void earn(Instant time) noexcept;
    bool spend(Instant time) noexcept;

  private:
    void refill(Instant time) noexcept;
    double credits_ = 10;
    Instant refilled_{};
};

class UpstreamsOfShard final : public Upstreams {
  public:
    explicit UpstreamsOfShard(UpstreamTableOfProcess& table);
    ~UpstreamsOfShard() override;

    Task<UpstreamAnswer> ask(UpstreamRequest request) override;
    void interrupt() noexcept override;
    Task<void> close() override;

    /// A GET of a small document (a token) from any URL under the upstream's policy. `authorization` may be empty.
    struct SmallDocument {
        std::string text;
    };
    Task<Result<SmallDocument, UpstreamFailure>> fetch_document(UpstreamState& upstream, const Url& url, std::string authorization, std::size_t bytes_max);
    /// The Basic header of a credential, read again after a while.
    Task<AuthorizationAnswer> basic_authorization(const CredentialSpec& credential);

    UpstreamTableOfProcess& table() noexcept { return table_; }
    ConnectionPool& pool() noexcept { return pool_; }

  private:
    /// One attempt under way: where it stands among endpoints, redirects and challenges.
    struct Attempt;

    Task<UpstreamAnswer> ask_with_retries(const UpstreamRequest& request, UpstreamState& upstream);
    Task<UpstreamAnswer> attempt(const UpstreamRequest& request, UpstreamState& upstream, const Origin& endpoint);
    Task<Result<ConnectionPool::Lease, UpstreamFailure>> send(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt);
    Task<std::optional<UpstreamFailure>> authorize(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt, const UpstreamConnection& connection);
    Task<AuthorizationAnswer> token(const TokenOrder& order, std::string refused);
    std::optional<UpstreamFailure> follow_redirect(UpstreamState& upstream, Attempt& attempt, const ResponseHead& head);
    UpstreamFailure failure_of_status(const UpstreamRequest& request, UpstreamState& upstream, const Attempt& attempt, const ResponseHead& head);
    std::string authorization_for(const UpstreamRequest& request, UpstreamState& upstream, const Url& url);
    void count(UpstreamState& upstream, UpstreamKind kind, int status) noexcept;

    UpstreamTableOfProcess& table_;
    Loop& loop_;
    ConnectionPool pool_;
    Tokens tokens_;
    std::unordered_map<std::size_t, RetryBudget> budgets_;
    std::unordered_map<std::string, Authorization> authorizations_;  // by upstream, credential and repository: what worked last
    std::unordered_map<std::string, Authorization> basic_;           // by credential name
    bool stopping_ = false;
};

}  // namespace entrepot
