#pragma once
// The admin listener's pages: health, readiness, metrics, status. Reading only; who may reach it is the listener's address. It shares nothing with the registry listener
// but the way connections are served.

#include "entrepot/admin/metrics.h"
#include "entrepot/server/exchange.h"

namespace entrepot {

class Admin final : public RequestHandler {
  public:
    explicit Admin(MetricSources sources) : sources_(std::move(sources)) {}

    Task<After> handle(Exchange& exchange) override;
    std::string refuse(std::uint16_t status, std::string_view message) override;

    /// Until then, and again from the shutdown on, /readyz says 503.
    void set_ready(bool ready) noexcept { ready_ = ready; }

  private:
    Task<After> reply(Exchange& exchange, std::uint16_t status, std::string_view media_type, std::string body);
    bool host_is_local(const RequestHead& head) const noexcept;

    MetricSources sources_;
    bool ready_ = false;
};

}  // namespace entrepot
