#pragma once
// Heads and error answers of the registry listener. The one place that turns a fault into an answer.

#include "entrepot/oci/error_body.h"
#include "registry/call.h"

#include <array>

namespace entrepot {

/// Room for a response head; everything we write fits (names are bounded at 255 bytes, a Link value at about 800).
using HeadSpace = std::array<char, 2048>;

/// A digest's entity tag, and between its quotes the digest's text: made once a response, in place.
class EtagText {
  public:
    explicit EtagText(const Digest& digest) noexcept;
    std::string_view etag() const noexcept { return {text_.data(), size_}; }
    std::string_view digest() const noexcept { return {text_.data() + 1, size_ - 2}; }

  private:
    std::array<char, Digest::text_bytes_max + 2> text_;
    std::size_t size_ = 0;
};

/// Status, Date, Connection and what every answer of this listener carries. `ns` "" when absent.
void begin_head(HeadWriter& writer, Exchange& exchange, std::uint16_t status, std::string_view ns);

/// A whole small answer.
Task<After> reply_body(Exchange& exchange, std::uint16_t status, std::string_view ns, std::string_view media_type,
                       std::string body, std::string_view more_lines = {});
Task<After> reply_error(Exchange& exchange, std::uint16_t status, OciCode code, std::string message, std::string_view ns = {},
                        std::string_view more_lines = {});
/// What a failed upstream becomes for the client; the message names the rule, the source and the reason.
Task<After> reply_failure(Call& call, const UpstreamFailure& failure, OciCode not_found_code);
/// What the rule does not serve, upstream is not asked for. `why` follows the rule's name (rule_policy.h).
Task<After> refuse_by_rule(Call& call, OciCode code, std::string why);
Task<After> reply_range_unsatisfiable(Call& call, std::uint64_t length);
/// `more_lines`: what the 200 would say about keeping it (RFC 9110 section 15.4.5).
Task<After> reply_not_modified(Call& call, std::string_view etag, Served served, std::string_view more_lines = {});

}  // namespace entrepot
