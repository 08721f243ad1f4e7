#pragma once
// A response whose head arrived: what of it matters, copied out of the connection's buffer, and its body.

#include "upstream/pool.h"

namespace entrepot {

class ExchangeOfUpstream final : public UpstreamExchange {
  public:
    /// Takes over the connection and the slot of its upstream that `client` holds; finish() gives both back.
    ExchangeOfUpstream(ConnectionPool& pool, ClientKey client, UpstreamState& upstream, std::size_t endpoint,
                       std::unique_ptr<UpstreamConnection> connection);
    ~ExchangeOfUpstream() override { ASSERT(!connection_); }

    int status() const noexcept override { return status_; }
    std::optional<std::uint64_t> content_length() const noexcept override { return content_length_; }
    std::uint64_t range_start() const noexcept override { return range_start_; }
    std::optional<std::uint64_t> total_length() const noexcept override { return total_length_; }
    const std::string& content_type() const noexcept override { return content_type_; }
    const std::string& docker_content_digest() const noexcept override { return digest_; }
    const std::string& link() const noexcept override { return link_; }
    const std::string& filters_applied() const noexcept override { return filters_applied_; }
    std::size_t endpoint() const noexcept override { return endpoint_; }
    Task<Result<std::size_t>> read(MutableBytes into) override;
    Task<Result<bool>> until_readable(Instant until) override;
    Task<void> finish() override;

  private:
    bool stalled() noexcept;

    ConnectionPool& pool_;
    ClientKey client_;
    UpstreamState& upstream_;
    std::size_t endpoint_;
    std::unique_ptr<UpstreamConnection> connection_;
    int status_;
    std::optional<std::uint64_t> content_length_, total_length_;
    std::uint64_t range_start_ = 0;
    std::string content_type_, digest_, link_, filters_applied_;
    Duration window_waited_{0};  // how long we waited for the bytes of this window; our own pauses do not count
    std::uint64_t window_bytes_ = 0;
};

}  // namespace entrepot
