#pragma once
// Upstreams of one shard: the walk of an exchange from "ask" to a usable response head.
//
//   ask (pause, circuit, slot) -> rounds within the budget -> each endpoint -> attempt
//   attempt: send, 401 -> authorize -> send, 3xx -> follow -> send, 200 / 206

#include "upstream/logins.h"
#include "upstream/pool.h"
#include "upstream/tokens.h"

namespace entrepot {

class UpstreamsOfShard final : public Upstreams, private Tokens::Door {
  public:
    explicit UpstreamsOfShard(UpstreamTableOfProcess& table);
    ~UpstreamsOfShard() override;

    Task<UpstreamAnswer> ask(UpstreamRequest request) override;
    void distrust(const UpstreamSpec& upstream, std::size_t endpoint) noexcept override;
    bool spares_refresh(const UpstreamSpec& upstream, const Credential* credential) noexcept override;
    Task<std::vector<CredentialHealth>> check(const UpstreamSpec& upstream, CredentialPointer credential) override;
    void interrupt() noexcept override;
    Task<void> close() override;

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
    Result<TokenOrder, UpstreamFailure> token_order(const Challenge& challenge, const UpstreamRequest& request,
                                                    const UpstreamState& upstream, const Attempt& attempt,
                                                    std::string_view scope) const;
    Task<AuthorizationAnswer> basic(CredentialPointer credential, std::size_t login, std::string refused);
    Task<AuthorizationAnswer> basic_for(const UpstreamRequest& request, Attempt& attempt, const Authorization& refused);
    bool may_try_other_login(const UpstreamRequest& request, const Attempt& attempt, const Verdict& verdict) const;
    void note_answer(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt, int status);
    Task<std::vector<CredentialHealth>> check_here(const UpstreamSpec& upstream, CredentialPointer credential);
    Task<std::optional<UpstreamFailure>> check_login(const UpstreamRequest& request, UpstreamState& upstream, std::size_t login,
                                                     bool& is_asked);
    Task<std::optional<UpstreamFailure>> try_basic(const UpstreamRequest& request, UpstreamState& upstream, std::size_t login,
                                                   Url url);
    Task<DocumentAnswer> ask_realm(const TokenOrder& order, DocumentRequest request) override;
    const UpstreamTable::Options& options() const noexcept override { return table_.options(); }
    Task<std::vector<Challenge>> ask_for_challenges(const UpstreamRequest& request, UpstreamState& upstream,
                                                    const Origin& endpoint);
    std::optional<UpstreamFailure> follow_redirect(const UpstreamState& upstream, Attempt& attempt, const Verdict& verdict) const;
    UpstreamFailure failure_of(const UpstreamRequest& request, UpstreamState& upstream, const Origin& origin, int status,
                               std::optional<seconds> retry_after) const;

    UpstreamTableOfProcess& table_;
    Loop& loop_;
    ConnectionPool pool_;
    Logins logins_;
    // Of the home shard they serve the whole process, of others nobody.
    Documents documents_{pool_};
    Services services_{table_, documents_};
    Identities identities_{services_};
    Vaults vaults_{services_, identities_};
    Passwords passwords_{vaults_};
    Tokens tokens_{*this, passwords_, identities_};
    Condition stopped_;
    bool stopping_ = false;
};

}  // namespace entrepot
