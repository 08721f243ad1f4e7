#pragma once
// What came of the requests: counts by kind, status and trouble, times, and all of it over time. Each worker writes its own;
// they are added up at the end. Only what ends inside the measured window counts, but for failures, which always do.

#include "load/latency_histogram.h"
#include "load/time_series.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace entrepot::load {

/// What was asked for.
enum class Kind : std::uint8_t { url, base, manifest_head, manifest_get, blob, login };
constexpr std::size_t kinds = 6;
std::string_view name_of(Kind kind) noexcept;

/// Why a request or pull failed. Each counts as one error.
enum class Trouble : std::uint8_t {
    refused,       ///< no connection: refused, unreachable
    descriptors,   ///< no connection: this process has no descriptor or port left
    tls,           ///< the handshake failed, or the certificate was refused
    timeout,       ///< nothing came for --timeout
    reset,         ///< the connection broke before the head of an answer
    closed,        ///< the connection ended before the head of an answer
    short_body,    ///< it ended before the body did
    bad_message,   ///< not HTTP, or a head past our bounds
    status,        ///< a status other than 2xx
    redirect,      ///< a redirect to where the user did not allow us to go, or too many
    login,         ///< a 401 we have no answer to, or a token realm that is not allowed or failed
    wrong_digest,  ///< the body does not hash to its name
    wrong_length,  ///< the body is not as long as the manifest says
    bad_manifest,  ///< what should be a manifest is none
    no_platform,   ///< an index without the platform
    not_finished,  ///< due or under way when the time was over
};
constexpr std::size_t troubles = 16;
std::string_view name_of(Trouble trouble) noexcept;

struct KindTally {
    std::uint64_t completed = 0;
    std::uint64_t bytes = 0;
    LatencyHistogram first_byte, whole;
};

/// One answer that came to its end.
struct Answered {
    Kind kind = Kind::url;
    std::uint16_t status = 0;
    std::uint64_t bytes = 0;
    Instant due, first_byte, ended;
};

class Tally {
  public:
    /// Nothing counts before this; also the start of the time series.
    void count_from(Instant start) noexcept;
    bool counts(Instant time) const noexcept { return time >= start_; }

    void add_bytes(std::uint64_t bytes, Instant time) noexcept;
    void answered(const Answered& answer) noexcept;
    void failed(Trouble trouble, std::uint16_t status, Instant time, std::uint64_t count = 1) noexcept;
    void pulled(Instant due, Instant ended) noexcept;
    void pull_failed() noexcept { ++pulls_failed_; }
    void add(const Tally& other);

    std::uint64_t completed() const noexcept;
    std::uint64_t errors() const noexcept { return errors_; }
    std::uint64_t errors_of(Trouble trouble) const noexcept { return by_trouble_[static_cast<std::size_t>(trouble)]; }
    std::uint64_t bytes() const noexcept { return bytes_; }
    std::uint64_t with_status(std::uint16_t status) const noexcept { return by_status_[status]; }
    const KindTally& of(Kind kind) const noexcept { return by_kind_[static_cast<std::size_t>(kind)]; }
    /// All kinds but logins together: what a user waits for is the content.
    KindTally all() const;
    std::uint64_t pulls() const noexcept { return pull_times_.count(); }
    std::uint64_t pulls_failed() const noexcept { return pulls_failed_; }
    const LatencyHistogram& pull_times() const noexcept { return pull_times_; }
    const TimeSeries& series() const noexcept { return series_; }
    /// When the last answer of all ended, counted from the start.
    Duration last_ended() const noexcept { return last_ended_; }

    // Events that are neither answers nor errors.
    std::uint64_t connections = 0;  ///< opened
    std::uint64_t verified = 0;     ///< bodies whose digest was right
    std::uint64_t resumed = 0;      ///< bodies that broke off and were continued by Range
    std::uint64_t retried = 0;      ///< requests asked again because a kept connection had ended meanwhile
    std::uint64_t redirected = 0;   ///< redirects followed
    std::uint64_t idle_opened = 0;  ///< --idle
    std::uint64_t idle_closed = 0;  ///< of them, ended by the server while idle
    Duration asked_within{0};       ///< --at-once: from the first request to the last one sent

    static constexpr std::size_t statuses = 600;

  private:
    Instant start_;
    Duration last_ended_{0};
    std::uint64_t errors_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t pulls_failed_ = 0;
    std::array<std::uint64_t, statuses> by_status_{};
    std::array<std::uint64_t, troubles> by_trouble_{};
    std::array<KindTally, kinds> by_kind_{};
    LatencyHistogram pull_times_;
    TimeSeries series_;
};

}  // namespace entrepot::load
