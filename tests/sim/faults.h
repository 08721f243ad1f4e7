#pragma once
// What may go wrong in one run, as probabilities. Swarm testing: each seed switches on a random subset of them, because a run in which everything
// fails a little explores less than many runs in which a few things fail a lot.

#include "entrepot/base/clock.h"

namespace entrepot::sim {

class Random;

struct Faults {
    // Files, per request.
    double short_file_transfer = 0;  ///< a read or write moves fewer bytes than asked, at least one
    double interrupted_file = 0;     ///< a read or write: EINTR, EAGAIN
    double read_error = 0;           ///< EIO
    double write_error = 0;          ///< EIO
    double write_over_quota = 0;     ///< EDQUOT
    double write_no_space = 0;       ///< ENOSPC although the disk has room (quota, reserved blocks)
    double sync_error = 0;           ///< EIO; the pages then look clean and are not durable, as on ext4, XFS and Btrfs
    double sync_lies = 0;     ///< answers well and makes nothing durable, as a disk with a volatile cache that ignores flushes
    double name_error = 0;    ///< open, rename, unlink, mkdir: EIO, EMFILE where it may be
    double page_reclaim = 0;  ///< per file request: some clean pages of the file leave memory

    // Sockets, per request.
    double short_socket_transfer = 0;
    double interrupted = 0;    ///< EINTR
    double multishot_end = 0;  ///< a multishot request ends (`more` false) although nothing is wrong
    double no_buffers = 0;     ///< ENOBUFS although buffers are left
    double accept_error = 0;   ///< EMFILE, ENFILE, ECONNABORTED
    double connect_refused = 0;
    double connect_black_hole = 0;  ///< no answer at all

    // Connections, drawn once for each.
    double connection_doomed = 0;  ///< is reset after a drawn number of bytes
    double connection_silent = 0;  ///< after a drawn number of bytes nothing arrives any more
    double tiny_segments = 0;      ///< arrives in pieces of a few bytes
    double narrow_window = 0;      ///< a socket buffer of a few KiB

    // The rest.
    double late_completion = 0;       ///< per reap: some finished requests are reported only by a later one
    double cancel_too_late = 0;       ///< per cancel: the request runs to its result
    double registration_refused = 0;  ///< per ring: register_buffers answers false
    double lookup_failure = 0;        ///< per name resolution

    Duration disk_delay_max = std::chrono::microseconds(500);
    Duration network_delay_max = std::chrono::milliseconds(2);
    double long_delay = 0;  ///< per request or segment: up to `long_delay_max`
    Duration long_delay_max = std::chrono::seconds(2);

    /// A healthy machine: only order and time vary.
    static Faults none() { return {}; }
    static Faults draw(Random& random);
    /// Takes away every fault that could make a request fail; what only varies order, sizes and time stays.
    void heal();
    void heal_disk();
};

}  // namespace entrepot::sim
