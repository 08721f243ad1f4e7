#pragma once
// Whether a place on a disk takes what we write, as it last told us: the store has one for each of its volumes and one for its ledger. It decides whether
// something new is tried there, says so in the log (one line a minute), and tells an operator what is wrong and what to do.
//
//   healthy ──ENOSPC, EDQUOT, EFBIG──────────────> full ───────┐
//      ├──EROFS──────────────────────────────────> read_only ──┤
//      ├──failures_max other errors in a row─────> suspect ────┴──note_success(), note_recovery()──> healthy
//      └──close() from any of them───────────────> closed, until a restart
//
// A full disk is still written to, since eviction makes room. A read-only or suspect one is left alone but for one attempt after a pause, which doubles from 5 s to a
// minute: so it comes back by itself when it was mounted again or its quota was raised. Any thread.

#include "entrepot/base/clock.h"
#include "entrepot/base/error.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

class DiskHealth {
  public:
    enum class State : std::uint8_t { healthy, full, suspect, read_only, closed };
    static constexpr std::size_t states = 5;

    static constexpr unsigned failures_max = 3;
    static constexpr Duration probe_pause_min = seconds(5), probe_pause_max = seconds(60);

    /// What an operator is told. Parts of one sentence: "<who> is <state>: <why>; <advice>".
    struct Trouble {
        State state;
        std::string why, advice;
        std::int64_t since;  ///< wall seconds
    };

    /// `kind` and `path` name it to people: "volume", "/data/a".
    DiskHealth(std::string kind, std::string path) : kind_(std::move(kind)), path_(std::move(path)) {}

    const std::string& kind() const noexcept { return kind_; }
    const std::string& path() const noexcept { return path_; }
    State state() const noexcept { return state_.load(std::memory_order_relaxed); }
    bool healthy() const noexcept { return state() == State::healthy; }
    /// Something new may be tried: nothing is wrong, or room may come any moment.
    bool takes_writes() const noexcept { return state() == State::healthy || state() == State::full; }

    /// A write, a sync or a change of names failed: `what` as in "writing a blob", which outlives this. A lack of descriptors or memory is no failure of the disk.
    void note_failure(const char* what, int error) noexcept;
    /// Something that matters is on the disk, durably: all is well.
    void note_success() noexcept;
    /// An attempt after a pause succeeded. Writes are tried again; until one of them has succeeded the next failure counts like the last one of several.
    void note_recovery() noexcept;
    /// For good: `why` and `advice` are for the operator.
    void close(std::string why, std::string advice) noexcept;

    /// True when it is time for an attempt, once: the next one is due after a longer pause.
    bool probe_is_due(Instant time) noexcept;

    /// nullopt when there is none.
    std::optional<Trouble> trouble() const;

  private:
    void become(State state) noexcept;
    void tell(Instant time, bool changed);
    std::string sentence() const;

    const std::string kind_, path_;
    std::atomic<State> state_{State::healthy};
    std::atomic<unsigned> failures_{0};  // in a row, neither full nor read-only

    mutable std::mutex lock_;  // of what follows
    const char* what_ = "";
    int error_ = 0;
    std::string closed_why_, closed_advice_;
    std::int64_t since_ = 0;
    Duration pause_ = probe_pause_min;
    Instant next_probe_{};
    Instant silent_until_{}, change_silent_until_{};
    bool told_ = false;  // the log knows of the present trouble
};

/// As the API and the metrics say it: "healthy", "full", "suspect", "read_only", "closed".
std::string_view name_of(DiskHealth::State state) noexcept;
/// As in a sentence: "full", "failing", "read-only", "out of order".
std::string_view words_for(DiskHealth::State state) noexcept;

/// Of such a failure the log knows from the disk that refused: it is not told once more for each blob.
bool told_by_disk(const Error& error) noexcept;

/// The disk has no room, or none for a file of this size.
bool is_full(int error) noexcept;
/// The process has no descriptor or memory left: no fault of the disk.
bool is_shortage(int error) noexcept;
/// The disk has no room now, and would have if something left.
bool eviction_may_help(int error) noexcept;

}  // namespace entrepot
