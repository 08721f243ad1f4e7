#pragma once
// A content address: "sha256:<64 lower-case hex>" or "sha512:<128>". A small value; parsing is the only way in from text,
// so a Digest in hand is always well formed and its hex may become a file name.

#include "entrepot/base/bytes.h"
#include "entrepot/base/sha256.h"
#include "entrepot/base/sha512.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace entrepot {

enum class DigestAlgorithm : std::uint8_t { sha256, sha512 };

class Digest {
  public:
    static constexpr std::size_t bytes_max = 64;
    static constexpr std::size_t text_bytes_max = 7 + 128;

    /// Anything but a well-formed digest of a known algorithm is nullopt (the protocol answers 400 DIGEST_INVALID).
    static std::optional<Digest> parse(std::string_view text) noexcept;
    /// The sha256 (or sha512) of `bytes`.
    static Digest of(Bytes bytes, DigestAlgorithm algorithm = DigestAlgorithm::sha256) noexcept;
    static Digest from_raw(DigestAlgorithm algorithm, Bytes raw) noexcept;

    DigestAlgorithm algorithm() const noexcept { return algorithm_; }
    Bytes raw() const noexcept { return {raw_.data(), algorithm_ == DigestAlgorithm::sha256 ? 32u : 64u}; }
    std::string_view algorithm_name() const noexcept { return algorithm_ == DigestAlgorithm::sha256 ? "sha256" : "sha512"; }
    std::string hex() const;
    std::string text() const;  ///< "sha256:<hex>"

    /// The first eight bytes: uniform already, it selects the shard and the table slot.
    std::uint64_t hash() const noexcept {
        std::uint64_t first = 0;
        std::memcpy(&first, raw_.data(), sizeof first);
        return first;
    }
    /// Not defaulted: libstdc++ compares an array of std::byte one byte after the other.
    friend bool operator==(const Digest& a, const Digest& b) noexcept {
        return a.algorithm_ == b.algorithm_ && std::memcmp(a.raw_.data(), b.raw_.data(), bytes_max) == 0;
    }

  private:
    std::array<std::byte, bytes_max> raw_{};  // sha256 leaves the rest zero, so equality may compare all
    DigestAlgorithm algorithm_ = DigestAlgorithm::sha256;
};

struct DigestHash {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.hash(); }
};

/// Hashes a stream towards a digest of the given algorithm. A value, copyable to fork the state.
class Digester {
  public:
    explicit Digester(DigestAlgorithm algorithm);
    DigestAlgorithm algorithm() const noexcept {
        return std::holds_alternative<Sha256>(state_) ? DigestAlgorithm::sha256 : DigestAlgorithm::sha512;
    }
    void update(Bytes bytes) noexcept;
    /// The same as an update of each; in less time where both are sha256 (Sha256::update_pair). The two must be two.
    static void update_pair(Digester& one, Bytes bytes, Digester& other, Bytes other_bytes) noexcept;
    Digest finish() const noexcept;

  private:
    std::variant<Sha256, Sha512> state_;
};

}  // namespace entrepot
