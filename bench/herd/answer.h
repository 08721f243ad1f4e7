#pragma once
// One HTTP/1.1 answer, read from a non-blocking socket and dropped (or hashed) while it arrives.

#include "herd/process.h"

#include <mbedtls/md.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::bench {

constexpr std::size_t head_bytes_max = 16 << 10;
constexpr std::size_t scratch_bytes = 256 << 10;
constexpr std::size_t discard_bytes = 16 << 20;  // most that one recv drops
constexpr int reads_per_turn_max = 8;            // then the other clients have their turn

struct Scratch {
    std::vector<char> bytes = std::vector<char>(scratch_bytes);
    char* discard = nullptr;  // an address range nobody writes to: MSG_TRUNC only wants it to exist
    Scratch() {
        void* range = mmap(nullptr, discard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) stop_with(1, "mmap: %s", std::strerror(errno));
        discard = static_cast<char*>(range);
    }
};

class Hash {
  public:
    Hash() {
        mbedtls_md_init(&context_);
        const auto* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
        if (mbedtls_md_setup(&context_, sha256, 0) != 0 || mbedtls_md_starts(&context_) != 0) stop_with(1, "no SHA-256");
    }
    Hash(const Hash&) = delete;
    Hash& operator=(const Hash&) = delete;
    ~Hash() { mbedtls_md_free(&context_); }

    void update(std::string_view bytes) {
        if (mbedtls_md_update(&context_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) != 0)
            stop_with(1, "SHA-256 failed");
    }
    std::string hex() {
        unsigned char digest[32];
        if (mbedtls_md_finish(&context_, digest) != 0) stop_with(1, "SHA-256 failed");
        std::string text;
        for (const unsigned char byte : digest) {
            constexpr char digits[] = "0123456789abcdef";
            text += digits[byte >> 4];
            text += digits[byte & 15];
        }
        return text;
    }

  private:
    mbedtls_md_context_t context_;
};

// Reads one answer from a non-blocking socket: head, then exactly Content-Length bytes.
//   head ──blank line──> body ──last byte──> complete
//     └───────────────────┴── anything else ──> failed (why() says what)
class Answer {
  public:
    enum class State { head, body, complete, failed };

    void restart(bool is_head_request, bool verify) {
        *this = Answer();
        is_head_request_ = is_head_request;
        if (verify) hash_ = std::make_unique<Hash>();
    }

    /// Reads what is there, at most reads_per_turn_max times. Returns the number of body bytes that arrived.
    std::uint64_t read(int fd, Scratch& scratch) {
        const auto before = received_;
        for (int turn = 0; turn < reads_per_turn_max && (state_ == State::head || state_ == State::body); ++turn) {
            const auto got = state_ == State::head ? read_head(fd, scratch) : read_body(fd, scratch);
            if (!got) break;
        }
        return received_ - before;
    }

    State state() const { return state_; }
    bool ended() const { return state_ == State::complete || state_ == State::failed; }
    const char* why() const { return why_; }
    int status() const { return status_; }
    std::uint64_t received() const { return received_; }
    std::uint64_t length() const { return length_; }
    std::uint64_t first_byte_at() const { return first_byte_at_; }
    bool server_closes() const { return server_closes_; }
    std::string digest() { return hash_ ? hash_->hex() : std::string(); }
    void fail(const char* why) {
        state_ = State::failed;
        why_ = why;
    }

  private:
    // False: nothing more to read now.
    bool read_head(int fd, Scratch& scratch) {
        const auto got = recv(fd, scratch.bytes.data(), std::min(scratch.bytes.size(), head_bytes_max), MSG_DONTWAIT);
        if (got <= 0) return end_of_input(got, "closed before the head");
        std::string_view bytes(scratch.bytes.data(), static_cast<std::size_t>(got));
        if (!partial_head_.empty()) {
            partial_head_.append(bytes);
            bytes = partial_head_;
        }
        const auto end = bytes.find("\r\n\r\n");
        if (end == std::string_view::npos) {
            if (bytes.size() >= head_bytes_max) fail("head too long");
            else if (partial_head_.empty()) partial_head_.assign(bytes);
            return state_ == State::head;
        }
        take_head(bytes.substr(0, end + 2));
        if (state_ == State::body) take_body(bytes.substr(end + 4));
        return state_ == State::body;
    }

    bool read_body(int fd, Scratch& scratch) {
        const auto left = length_ - received_;
        const bool copy = hash_ != nullptr;
        const auto want = std::min<std::uint64_t>(left, copy ? scratch.bytes.size() : discard_bytes);
        const auto got = recv(fd, copy ? scratch.bytes.data() : scratch.discard, want, MSG_DONTWAIT | (copy ? 0 : MSG_TRUNC));
        if (got <= 0) return end_of_input(got, "short body");
        if (copy) hash_->update({scratch.bytes.data(), static_cast<std::size_t>(got)});
        count_body(static_cast<std::uint64_t>(got));
        // Less than asked for means that the queue is empty: save the recv that would say EAGAIN.
        return state_ == State::body && static_cast<std::uint64_t>(got) == want;
    }

    bool end_of_input(ssize_t got, const char* when_closed) {
        if (got == 0) fail(when_closed);
        else if (errno != EAGAIN && errno != EINTR) fail(errno == ECONNRESET ? "reset" : "receive failed");
        return false;
    }

    void take_head(std::string_view head) {
        if (head.size() < 14 || head.substr(0, 7) != "HTTP/1.") return fail("not HTTP/1");
        std::from_chars(head.data() + 9, head.data() + 12, status_);
        const auto length = value_of(head, "content-length");
        const auto connection = value_of(head, "connection");
        server_closes_ = connection && connection->size() >= 5 && strncasecmp(connection->data(), "close", 5) == 0;
        if (!length) return fail("no Content-Length");
        const auto [end, error] = std::from_chars(length->data(), length->data() + length->size(), length_);
        if (error != std::errc() || end != length->data() + length->size()) return fail("bad Content-Length");
        state_ = State::body;
        if (is_head_request_) length_ = 0;
        if (length_ == 0) count_body(0);
    }

    static std::optional<std::string_view> value_of(std::string_view head, std::string_view name) {
        for (auto line = head.find("\r\n"); line + 2 < head.size(); line = head.find("\r\n", line + 2)) {
            const auto field = head.substr(line + 2, head.find("\r\n", line + 2) - line - 2);
            if (field.size() <= name.size() || field[name.size()] != ':') continue;
            if (strncasecmp(field.data(), name.data(), name.size()) != 0) continue;
            const auto start = field.find_first_not_of(" \t", name.size() + 1);
            return start == std::string_view::npos ? std::string_view() : field.substr(start);
        }
        return std::nullopt;
    }

    void take_body(std::string_view bytes) {
        if (bytes.size() > length_) return fail("more bytes than Content-Length");
        if (bytes.empty()) return;
        if (hash_) hash_->update(bytes);
        count_body(bytes.size());
    }

    void count_body(std::uint64_t bytes) {
        if (first_byte_at_ == 0) first_byte_at_ = now();
        received_ += bytes;
        if (received_ == length_) state_ = State::complete;
    }

    State state_ = State::head;
    bool is_head_request_ = false;
    bool server_closes_ = false;
    int status_ = 0;
    std::uint64_t length_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t first_byte_at_ = 0;
    const char* why_ = "";
    std::string partial_head_;
    std::unique_ptr<Hash> hash_;
};

}  // namespace entrepot::bench
