#pragma once
// What becomes of the bytes of a body: dropped, hashed, or kept; counted in any case, and taken no faster than a slow reader
// would.

#include "entrepot/oci/digest.h"
#include "load/live.h"
#include "load/tally.h"

#include <memory>
#include <optional>
#include <string>

namespace entrepot::load {

class Body {
  public:
    enum class Use : std::uint8_t { drop, hash, keep };

    Body(Use use, Tally& tally, Live& live) noexcept : use_(use), tally_(tally), live_(live) {}
    /// Hashes towards a digest of this algorithm.
    void hash_with(DigestAlgorithm algorithm) {
        use_ = Use::hash;
        algorithm_ = algorithm;
        digester_ = std::make_unique<Digester>(algorithm);
    }
    void read_slowly(std::uint64_t bytes_per_second) noexcept { slow_ = bytes_per_second; }

    bool drops() const noexcept { return use_ == Use::drop; }
    /// Bytes that were here and are read.
    void take(Bytes bytes);
    /// As many that were dropped where they were.
    void count(std::uint64_t bytes);
    /// A new try that begins at the first byte again.
    void restart();

    /// How much to take at once, and when a slow reader reads on.
    std::size_t portion() const noexcept;
    Instant next_read() const noexcept;
    bool is_slow() const noexcept { return slow_ > 0; }

    std::uint64_t received() const noexcept { return received_; }
    Instant first_byte_at() const noexcept { return first_byte_at_; }
    bool too_large() const noexcept { return too_large_; }
    const std::string& text() const noexcept { return text_; }
    std::optional<Digest> digest() const {
        if (!digester_) return std::nullopt;
        return digester_->finish();
    }

    static constexpr std::size_t kept_bytes_max = 4 * MiB;  // a manifest

  private:
    Use use_;
    Tally& tally_;
    Live& live_;
    DigestAlgorithm algorithm_ = DigestAlgorithm::sha256;
    std::unique_ptr<Digester> digester_;  // most bodies have none, and thousands of them wait at once
    std::string text_;
    std::uint64_t received_ = 0;
    std::uint64_t slow_ = 0;
    std::uint64_t taken_slowly_ = 0;
    Instant first_byte_at_{};
    Instant began_{};
    bool too_large_ = false;
};

}  // namespace entrepot::load
