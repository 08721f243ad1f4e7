#include "ring_sim.h"

#include <linux/io_uring.h>

#include <algorithm>
#include <cerrno>

namespace entrepot::sim {
namespace {

using Kind = Request::Kind;

bool is_socket_request(Kind kind) { return kind <= Kind::poll; }

std::uint32_t buffer_id(std::uint32_t flags) { return flags >> IORING_CQE_BUFFER_SHIFT; }

}  // namespace

SimRing::SimRing(const Options& options)
    : world_(World::current()), options_(options), process_(world_.process), number_(world_.add_ring(*this)) {
    ASSERT(options.provided_buffers > 0 && (options.provided_buffers & (options.provided_buffers - 1)) == 0);
    buffers_.resize(std::size_t{options.provided_buffers} * options.provided_buffer_bytes);
    buffer_out_.resize(options.provided_buffers);
    for (unsigned id = 0; id < options.provided_buffers; ++id) free_buffers_.push_back(static_cast<std::uint16_t>(id));
}

SimRing::~SimRing() {
    ASSERT(in_flight() == 0);
    world_.remove_ring(number_);
}

void SimRing::submit(Operation& operation, const Request& request) {
    operation.submitted(request.kind);
    auto number = next_request_++;
    ++world_.descriptor(request.fd).in_flight;
    if (request.kind == Kind::rename) ++world_.descriptor(request.other_fd).in_flight;
    check_registered(request);
    pending_[number] = {&operation, request};
    numbers_[&operation] = number;
    submitted_.push_back(number);
}

void SimRing::check_registered(const Request& request) const {
    if (request.buffer_index < 0) return;
    auto* begin = static_cast<std::byte*>(request.address);
    bool inside =
        !registered_.empty() && begin >= registered_.data() && begin + request.length <= registered_.data() + registered_.size();
    if (request.buffer_index != 0 || !inside) violation("a request names a registered buffer that does not contain its bytes");
}

void SimRing::cancel(Operation& operation) {
    // By number: another request may live at the same address before this is looked at.
    auto found = numbers_.find(&operation);
    if (found != numbers_.end()) cancelled_.push_back(found->second);
}

void SimRing::flush_file_requests() { flush(); }

void SimRing::flush() {
    for (auto number : std::exchange(submitted_, {})) start(number);
    start_cancels();
}

void SimRing::start(std::uint64_t number) {
    auto& pending = pending_.at(number);
    if (is_socket_request(pending.request.kind)) {
        if (world_.strikes(world_.faults.interrupted, "EINTR of a socket")) return finish(number, -EINTR);
        auto socket = socket_of(pending.request.fd);
        socket->waiting.push_back({this, number});
        pending.waits = true;
        if (pending.request.kind == Kind::connect && socket->state == Socket::State::fresh && !socket->error) {
            world_.network.connect(socket, static_cast<const sockaddr*>(pending.request.address), pending.request.length);
        }
        return try_socket(number);
    }
    world_.after(world_.disk_delay(), [world = &world_, ring = number_, number] {
        if (auto* self = world->ring(ring)) self->perform_file(number);
    });
}

void SimRing::start_cancels() {
    for (auto number : std::exchange(cancelled_, {})) {
        if (world_.strikes(world_.faults.cancel_too_late, "cancel too late")) {
            // The request stays ahead of its cancellation for a while: its own result may come first.
            world_.after(world_.network_delay(), [world = &world_, ring = number_, number] {
                if (auto* self = world->ring(ring)) self->cancel_now(number);
            });
        } else {
            cancel_now(number);
        }
    }
}

void SimRing::cancel_now(std::uint64_t number) {
    auto found = pending_.find(number);
    if (found == pending_.end() || found->second.started) return;
    world_.note("cancelled", number_, number);
    // A send that already moved bytes reports them: no byte is ever dropped.
    auto progress = static_cast<std::int32_t>(found->second.progress);
    finish(number, progress > 0 ? progress : -ECANCELED);
}

void SimRing::report(Pending& pending, std::int32_t result, std::uint32_t flags) {
    world_.note("completes", static_cast<std::uint64_t>(pending.request.kind),
                static_cast<std::uint64_t>(static_cast<std::int64_t>(result)));
    finished_.push_back({pending.operation, result, flags, true});
}

void SimRing::stop_waiting(Pending& pending, std::uint64_t number) {
    if (!std::exchange(pending.waits, false)) return;
    auto& waiting = world_.descriptor(pending.request.fd).socket->waiting;
    std::erase_if(waiting, [&](const auto& entry) { return entry.who == this && entry.request == number; });
}

void SimRing::finish(std::uint64_t number, std::int32_t result, std::uint32_t flags) {
    auto& pending = pending_.at(number);
    stop_waiting(pending, number);
    --world_.descriptor(pending.request.fd).in_flight;
    if (pending.request.kind == Kind::rename) --world_.descriptor(pending.request.other_fd).in_flight;
    report(pending, result, flags);
    finished_.back().more = false;
    ++finished_last_;
    numbers_.erase(pending.operation);
    pending_.erase(number);
}

unsigned SimRing::reap(Instant) {
    woken_ = false;
    flush();
    auto count = finished_.size();
    if (count > 1 && world_.strikes(world_.faults.late_completion, "completions reported late"))
        count = world_.random.below(count) + 1;
    for (std::size_t i = 0; i < count; ++i) {
        auto finished = finished_.front();
        finished_.pop_front();
        if (!finished.more) --finished_last_;
        finished.operation->complete(finished.result, finished.flags, finished.more);
    }
    return static_cast<unsigned>(count);
}

void SimRing::close(int fd) {
    world_.note("closes", static_cast<std::uint64_t>(fd));
    world_.close(fd);
}

std::byte* SimRing::provided_buffer(std::uint32_t flags) noexcept {
    auto id = buffer_id(flags);
    if (!(flags & IORING_CQE_F_BUFFER) || id >= buffer_out_.size() || !buffer_out_[id])
        violation("bytes of a provided buffer that is not on loan");
    return buffers_.data() + std::size_t{id} * options_.provided_buffer_bytes;
}

void SimRing::give_back(std::uint32_t flags) noexcept {
    auto* bytes = provided_buffer(flags);
    // Whoever still looks into a returned buffer must not find what it hopes for.
    std::fill_n(bytes, options_.provided_buffer_bytes, std::byte{0xdb});
    auto id = buffer_id(flags);
    buffer_out_[id] = false;
    --out_count_;
    free_buffers_.push_back(static_cast<std::uint16_t>(id));
}

bool SimRing::register_buffers(MutableBytes region) {
    ASSERT(registered_.empty());
    if (world_.strikes(world_.faults.registration_refused, "registered buffers refused")) return false;
    registered_ = region;
    return true;
}

}  // namespace entrepot::sim

namespace entrepot {

Result<std::unique_ptr<Ring>, std::string> Ring::open(const Options& options) {
    return std::unique_ptr<Ring>(std::make_unique<sim::SimRing>(options));
}

}  // namespace entrepot
