#pragma once
// The ledger's keys and values as bytes on disk. Little-endian, each value begins with its version; a value that this version cannot read is as good as absent and
// is never deleted for it. No I/O.
//
//   blobs      digest key                     BlobValue
//   sums       digest key                     one u64 per chunk
//   manifests  digest key                     ManifestValue, media type, digest keys
//   tags       repository \0 tag              TagValue, media type
//   grants     digest key, holder key          GrantValue, platform
//   holders    holder key                      HolderValue, scope, repository: whose hash a grant's key ends with
//   settings   the setting's key              version byte, text
//   meta       "format", "ended", "rebuild", "volume" index, "scrub"   MetaValue; VolumeValue, path; ScrubValue
//
// A holder key is SHA-256(scope \0 repository). A digest key is the algorithm's number and the raw digest: 33 or 65 bytes, and none is the beginning of another.

#include "entrepot/store/ledger.h"

#include <bit>
#include <string_view>

namespace entrepot {

static_assert(std::endian::native == std::endian::little, "the ledger's format is little-endian");

/// The format of the whole file. A change that an older entrepot would misread raises it.
constexpr std::uint32_t ledger_format = 1;
constexpr std::uint8_t record_version = 1;

struct BlobValue {
    std::uint8_t version, volume, flags, unused[5];
    std::uint64_t size;
    std::int64_t created;
};
static_assert(sizeof(BlobValue) == 24);

struct ManifestValue {
    std::uint8_t version, unused;
    std::uint16_t media_type_bytes;
    std::uint32_t references;
};
static_assert(sizeof(ManifestValue) == 8);

struct TagValue {
    std::uint8_t version, algorithm;
    std::uint16_t media_type_bytes;
    std::uint32_t unused;
    std::uint64_t size;
    std::int64_t checked;
    std::uint8_t raw_digest[Digest::bytes_max];
};
static_assert(sizeof(TagValue) == 88);

struct GrantValue {
    std::uint8_t version, unused[7];
    std::int64_t granted;      ///< wall seconds
    std::uint64_t told_bytes;  ///< 0: nobody said. Absent in grants of earlier versions
};
static_assert(sizeof(GrantValue) == 24);

struct VolumeValue {
    std::uint8_t version, present, unused[6];
    std::uint64_t id;
};
static_assert(sizeof(VolumeValue) == 16);

struct ScrubValue {
    std::uint8_t version, has_digest, algorithm, unused[5];
    std::uint64_t next_chunk;
    std::int64_t pass_started, pass_ended;
    std::uint8_t raw_digest[Digest::bytes_max];
};
static_assert(sizeof(ScrubValue) == 96);

struct MetaValue {
    std::uint32_t number;
};
static_assert(sizeof(MetaValue) == 4);

std::string digest_key(const Digest& digest);
std::optional<Digest> parse_digest_key(std::string_view key) noexcept;
/// Of a key that parse_digest_key accepted; its length follows from its first byte.
std::optional<Digest> read_digest_key(const char* key) noexcept;
/// Longer than LMDB allows when repository and tag have more than tag_key_bytes_max bytes.
std::string tag_key(const std::string& repository, const std::string& tag);
/// Repository and tag of a key; nullopt when it is none.
std::optional<std::pair<std::string_view, std::string_view>> parse_tag_key(std::string_view key) noexcept;
constexpr std::size_t holder_key_bytes = Sha256::digest_bytes;
std::string holder_key(const std::string& scope, const std::string& repository);
std::string grant_key(const std::string& scope, const std::string& repository, const Digest& digest);
/// The digest of a grant's key; what follows it is the holder key.
std::optional<Digest> take_digest(std::string_view& grant_key) noexcept;

std::string blob_value(const BlobRecord& record);
std::optional<BlobRecord> parse_blob_value(std::string_view value);            ///< without sums
std::string_view sums_value(const std::vector<std::uint64_t>& sums) noexcept;  ///< a view of them
std::vector<std::uint64_t> parse_sums_value(std::string_view value);
std::string manifest_value(const ManifestRecord& record);
std::optional<ManifestRecord> parse_manifest_value(std::string_view value);
std::string tag_value(const TagRecord& record);
std::optional<TagRecord> parse_tag_value(std::string_view value);
struct HolderValue {
    std::uint8_t version, unused;
    std::uint16_t scope_bytes;
};
static_assert(sizeof(HolderValue) == 4);

std::string grant_value(std::int64_t granted, std::uint64_t told_bytes, std::string_view platform = {});
std::string_view parse_told_platform(std::string_view grant_value) noexcept;
std::string holder_value(const std::string& scope, const std::string& repository);
std::optional<Holder> parse_holder_value(std::string_view value);
std::uint64_t parse_told_bytes(std::string_view grant_value) noexcept;
std::string volume_value(const VolumeRecord& record);
std::optional<VolumeRecord> parse_volume_value(std::uint8_t index, std::string_view value);

std::string scrub_value(const ScrubRecord& record);
std::optional<ScrubRecord> parse_scrub_value(std::string_view value);
std::string setting_value(std::string_view text);
std::optional<std::string_view> parse_setting_value(std::string_view value) noexcept;

/// Code::too_large when something in the change passes a bound of ledger.h.
Result<void> check_bounds(const LedgerChange& change) noexcept;

}  // namespace entrepot
