#pragma once
// Writes a response or request head into a buffer of the caller. It only appends; what does not fit, and what would
// break the head (CR, LF or NUL in a value, a blank in a target), makes the writer fail, and it stays failed: so calls need no
// checks between them, finish() tells.

#include "entrepot/http/method.h"
#include "entrepot/http/range.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace entrepot {

/// "OK", "Partial Content", ...; "Status" for a code we have no words for.
std::string_view reason_of(std::uint16_t status) noexcept;

/// May `value` stand in a header field? No control bytes but tab.
bool is_field_value(std::string_view value) noexcept;

class HeadWriter {
  public:
    /// The buffer must outlive the writer and the view that finish() returns.
    explicit HeadWriter(std::span<char> buffer) noexcept
        : begin_(buffer.data()), at_(buffer.data()), end_(buffer.data() + buffer.size()) {}

    /// "HTTP/1.1 200 OK". `status` is ours, 100..599.
    HeadWriter& status_line(std::uint16_t status) noexcept;

    /// "GET /v2/ HTTP/1.1". The target must begin with '/' and hold only visible ASCII, or the writer fails.
    HeadWriter& request_line(Method method, std::string_view target) noexcept;

    /// `name` is one of our own literals, written as it is.
    HeadWriter& field(std::string_view name, std::string_view value) noexcept;
    HeadWriter& field(std::string_view name, std::uint64_t number) noexcept;

    /// Content-Range of a 206.
    HeadWriter& content_range(BlobPart part, std::uint64_t blob_bytes) noexcept;

    /// Lines prepared elsewhere, each with its CRLF. They must come from finish()ed or constant text, never from outside.
    HeadWriter& prepared(std::string_view lines) noexcept;

    /// The empty line, and the whole head; nullopt when anything went wrong on the way.
    std::optional<std::string_view> finish() noexcept;

    bool failed() const noexcept { return failed_; }

  private:
    void put(std::string_view text) noexcept;
    void put_number(std::uint64_t number) noexcept;
    void put_field(std::string_view name, std::string_view value) noexcept;

    char* begin_;
    char* at_;
    char* end_;
    bool failed_ = false;
};

}  // namespace entrepot
