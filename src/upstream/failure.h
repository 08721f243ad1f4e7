#pragma once
// Failures of upstreams: how they are told, and what they mean for the next step.

#include "entrepot/upstream/upstream.h"

namespace entrepot {

/// `why` is escaped and cut here.
UpstreamFailure make_failure(Fault fault, Code code, std::string_view why, int status = 0);

/// The network, or the server behind it, had a bad moment: the same request may succeed a little later.
bool may_be_retried(const UpstreamFailure& failure) noexcept;

/// It gave no answer that another endpoint of the same upstream would have to repeat.
bool another_endpoint_may_help(const UpstreamFailure& failure) noexcept;

/// What a failure says about the health of who was asked. A refusal is an answer; garbage on one path, and our own reasons, say
/// nothing.
enum class Health : std::uint8_t { good, bad, unknown };
Health health_of(const UpstreamFailure& failure) noexcept;

}  // namespace entrepot
