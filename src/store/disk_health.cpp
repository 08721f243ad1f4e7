#include "entrepot/store/disk_health.h"

#include "entrepot/base/assert.h"
#include "entrepot/base/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace entrepot {
namespace {

constexpr auto log_interval = std::chrono::minutes(1);

std::string_view advice_for(int error) noexcept {
    switch (error) {
        case ENOSPC: return "make room on the file system, of bytes or of inodes (df -h, df -i), or lower store.capacity";
        case EDQUOT: return "raise the quota of the server's user, or lower store.capacity";
        case EFBIG: return "raise the limit on the size of files (LimitFSIZE, ulimit -f)";
        case EROFS:
            return "the kernel's log says why; mount it read-write again (where it cannot be: stop entrepot, fsck, mount, start)";
        default: return "look at the disk and at the kernel's log";
    }
}

}  // namespace

bool is_full(int error) noexcept { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

bool is_shortage(int error) noexcept { return error == EMFILE || error == ENFILE || error == ENOMEM; }

bool told_by_disk(const Error& error) noexcept {
    return error.fault == Fault::storage && (error.code == Code::no_space || error.code == Code::io_failed);
}

/// Of a file that is too large (RLIMIT_FSIZE, the file system's own limit) the rest is as large when others have left.
bool eviction_may_help(int error) noexcept { return error == ENOSPC || error == EDQUOT; }

std::string_view name_of(DiskHealth::State state) noexcept {
    switch (state) {
        case DiskHealth::State::healthy: return "healthy";
        case DiskHealth::State::full: return "full";
        case DiskHealth::State::suspect: return "suspect";
        case DiskHealth::State::read_only: return "read_only";
        case DiskHealth::State::closed: break;
    }
    return "closed";
}

std::string_view words_for(DiskHealth::State state) noexcept {
    switch (state) {
        case DiskHealth::State::healthy: return "well";
        case DiskHealth::State::full: return "full";
        case DiskHealth::State::suspect: return "failing";
        case DiskHealth::State::read_only: return "read-only";
        case DiskHealth::State::closed: break;
    }
    return "out of order";
}

void DiskHealth::note_failure(const char* what, int error) noexcept {
    auto time = now();
    std::lock_guard guard(lock_);
    if (state() == State::closed) return;
    what_ = what;
    error_ = error;
    auto before = state();
    if (is_full(error)) {
        // One that is left alone already is so for a better reason.
        if (takes_writes()) become(State::full);
    } else if (error == EROFS) {
        become(State::read_only);
    } else if (!is_shortage(error) && failures_.fetch_add(1, std::memory_order_relaxed) + 1 >= failures_max &&
               state() != State::read_only) {
        become(State::suspect);
    }
    tell(time, state() != before);
}

/// One line a minute, and one for what the failures have led to.
void DiskHealth::tell(Instant time, bool changed) {
    bool news = changed && time >= change_silent_until_;
    if (time < silent_until_ && !news) return;
    silent_until_ = time + log_interval;
    if (!healthy()) change_silent_until_ = silent_until_;
    told_ = !takes_writes();
    log_warning("{}", sentence());
}

void DiskHealth::become(State state) noexcept {
    if (state_.exchange(state, std::memory_order_relaxed) == state) return;
    since_ = wall_seconds();
    next_probe_ = now() + pause_;
}

/// Under lock_. A failure that changed nothing yet is told as what it is.
std::string DiskHealth::sentence() const {
    auto failure = fmt::format("{} failed: {}", what_, std::strerror(error_));
    if (healthy()) return fmt::format("{} {}: {}", kind_, path_, failure);
    return fmt::format("{} {} is {}: {}; what is stored is served, what is not passes through; {}", kind_, path_,
                       words_for(state()), failure, advice_for(error_));
}

void DiskHealth::note_success() noexcept {
    if (healthy() && failures_.load(std::memory_order_relaxed) == 0) return;
    note_recovery();
    std::lock_guard guard(lock_);
    if (state() == State::closed) return;
    failures_.store(0, std::memory_order_relaxed);
    pause_ = probe_pause_min;
}

void DiskHealth::note_recovery() noexcept {
    std::lock_guard guard(lock_);
    if (state() == State::closed || healthy()) return;
    if (state() == State::suspect) failures_.store(failures_max - 1, std::memory_order_relaxed);
    become(State::healthy);
    if (std::exchange(told_, false)) log_info("{} {} takes new blobs again", kind_, path_);
}

void DiskHealth::close(std::string why, std::string advice) noexcept {
    std::lock_guard guard(lock_);
    if (state() == State::closed) return;
    become(State::closed);
    closed_why_ = std::move(why);
    closed_advice_ = std::move(advice);
    log_error("{} {} is {}: {}; {}", kind_, path_, words_for(State::closed), closed_why_, closed_advice_);
}

bool DiskHealth::probe_is_due(Instant time) noexcept {
    if (healthy() || state() == State::closed) return false;
    std::lock_guard guard(lock_);
    if (time < next_probe_) return false;
    pause_ = std::min(pause_ * 2, probe_pause_max);
    next_probe_ = time + pause_;
    return true;
}

std::optional<DiskHealth::Trouble> DiskHealth::trouble() const {
    std::lock_guard guard(lock_);
    auto state = this->state();
    if (state == State::healthy) return std::nullopt;
    if (state == State::closed) return Trouble{state, closed_why_, closed_advice_, since_};
    return Trouble{state, fmt::format("{} failed: {}", what_, std::strerror(error_)), std::string(advice_for(error_)), since_};
}

}  // namespace entrepot
