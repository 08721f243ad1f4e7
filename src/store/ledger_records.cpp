#include "store/ledger_records.h"

#include <cstring>
#include <type_traits>

namespace entrepot {
namespace {

template <typename Value>
std::string bytes_of_value(const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// The fixed beginning of a value, and what follows it; nullopt when the value is short or of another version.
template <typename Value>
std::optional<Value> take_value(std::string_view& bytes) {
    Value value;
    if (bytes.size() < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes.data(), sizeof value);
    if (value.version != record_version) return std::nullopt;
    bytes.remove_prefix(sizeof value);
    return value;
}

std::size_t raw_bytes(std::uint8_t algorithm) noexcept {
    switch (algorithm) {
        case static_cast<std::uint8_t>(DigestAlgorithm::sha256): return Sha256::digest_bytes;
        case static_cast<std::uint8_t>(DigestAlgorithm::sha512): return Sha512::digest_bytes;
        default: return 0;
    }
}

/// A digest within a record of fixed size, whatever else that holds.
template <typename Value>
void put_digest(Value& value, const Digest& digest) noexcept {
    value.algorithm = static_cast<std::uint8_t>(digest.algorithm());
    std::memcpy(value.raw_digest, digest.raw().data(), digest.raw().size());
}

template <typename Value>
std::optional<Digest> digest_in(const Value& value) noexcept {
    auto length = raw_bytes(value.algorithm);
    if (length == 0) return std::nullopt;
    return Digest::from_raw(static_cast<DigestAlgorithm>(value.algorithm), std::as_bytes(std::span(value.raw_digest, length)));
}

}  // namespace

/// One digest key off the front of `bytes`.
std::optional<Digest> take_digest(std::string_view& bytes) noexcept {
    if (bytes.empty()) return std::nullopt;
    auto algorithm = static_cast<std::uint8_t>(bytes[0]);
    auto length = raw_bytes(algorithm);
    if (length == 0 || bytes.size() < 1 + length) return std::nullopt;
    auto digest = Digest::from_raw(static_cast<DigestAlgorithm>(algorithm), bytes_of(bytes.substr(1, length)));
    bytes.remove_prefix(1 + length);
    return digest;
}

std::string digest_key(const Digest& digest) {
    std::string key(1, static_cast<char>(digest.algorithm()));
    key += text_of(digest.raw());
    return key;
}

std::optional<Digest> parse_digest_key(std::string_view key) noexcept {
    auto digest = take_digest(key);
    return key.empty() ? digest : std::nullopt;
}

std::optional<Digest> read_digest_key(const char* key) noexcept {
    return parse_digest_key({key, 1 + raw_bytes(static_cast<std::uint8_t>(*key))});
}

std::string tag_key(const std::string& repository, const std::string& tag) {
    std::string key;
    key.reserve(repository.size() + 1 + tag.size());
    key.append(repository).append(1, '\0').append(tag);
    return key;
}

std::optional<std::pair<std::string_view, std::string_view>> parse_tag_key(std::string_view key) noexcept {
    auto end = key.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return std::pair(key.substr(0, end), key.substr(end + 1));
}

std::string holder_key(const std::string& scope, const std::string& repository) {
    // A fixed length whatever the names; NUL occurs in neither, so the pair is unambiguous.
    Sha256 names;
    names.update(bytes_of(scope));
    names.update(bytes_of(std::string_view("\0", 1)));
    names.update(bytes_of(repository));
    auto hash = names.finish();
    return std::string(text_of(hash));
}

std::string grant_key(const std::string& scope, const std::string& repository, const Digest& digest) {
    return digest_key(digest) + holder_key(scope, repository);
}

std::string blob_value(const BlobRecord& record) {
    BlobValue value{};
    value.version = record_version;
    value.volume = record.volume;
    value.flags = record.flags;
    value.size = record.size;
    value.created = record.created;
    return bytes_of_value(value);
}

std::optional<BlobRecord> parse_blob_value(std::string_view bytes) {
    auto value = take_value<BlobValue>(bytes);
    if (!value) return std::nullopt;
    BlobRecord record;
    record.size = value->size;
    record.volume = value->volume;
    record.flags = value->flags;
    record.created = value->created;
    return record;
}

std::string_view sums_value(const std::vector<std::uint64_t>& sums) noexcept {
    return {reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(std::uint64_t)};
}

std::vector<std::uint64_t> parse_sums_value(std::string_view value) {
    std::vector<std::uint64_t> sums(value.size() / sizeof(std::uint64_t));
    if (!sums.empty()) std::memcpy(sums.data(), value.data(), sums.size() * sizeof(std::uint64_t));
    return sums;
}

std::string manifest_value(const ManifestRecord& record) {
    ManifestValue value{};
    value.version = record_version;
    value.media_type_bytes = static_cast<std::uint16_t>(record.media_type.size());
    value.references = static_cast<std::uint32_t>(record.references.size());
    auto bytes = bytes_of_value(value) + record.media_type;
    for (auto& reference : record.references) bytes += digest_key(reference);
    return bytes;
}

std::optional<ManifestRecord> parse_manifest_value(std::string_view bytes) {
    auto value = take_value<ManifestValue>(bytes);
    if (!value || bytes.size() < value->media_type_bytes || value->references > references_max) return std::nullopt;
    ManifestRecord record;
    record.media_type = bytes.substr(0, value->media_type_bytes);
    bytes.remove_prefix(value->media_type_bytes);
    record.references.reserve(value->references);
    for (std::uint32_t i = 0; i < value->references; ++i) {
        auto reference = take_digest(bytes);
        if (!reference) return std::nullopt;
        record.references.push_back(*reference);
    }
    return record;
}

std::string tag_value(const TagRecord& record) {
    TagValue value{};
    value.version = record_version;
    put_digest(value, record.digest);
    value.media_type_bytes = static_cast<std::uint16_t>(record.media_type.size());
    value.size = record.size;
    value.checked = record.checked;
    return bytes_of_value(value) + record.media_type;
}

std::optional<TagRecord> parse_tag_value(std::string_view bytes) {
    auto value = take_value<TagValue>(bytes);
    if (!value || bytes.size() < value->media_type_bytes) return std::nullopt;
    auto digest = digest_in(*value);
    if (!digest) return std::nullopt;
    TagRecord record;
    record.digest = *digest;
    record.media_type = bytes.substr(0, value->media_type_bytes);
    record.size = value->size;
    record.checked = value->checked;
    return record;
}

std::string grant_value(std::int64_t granted, std::uint64_t told_bytes, std::string_view platform) {
    GrantValue value{};
    value.version = record_version;
    value.granted = granted;
    value.told_bytes = told_bytes;
    return bytes_of_value(value).append(platform);
}

std::string_view parse_told_platform(std::string_view bytes) noexcept {
    return take_value<GrantValue>(bytes) ? bytes : std::string_view();
}

std::string holder_value(const std::string& scope, const std::string& repository) {
    HolderValue value{};
    value.version = record_version;
    value.scope_bytes = static_cast<std::uint16_t>(scope.size());
    return bytes_of_value(value) + scope + repository;
}

std::optional<Holder> parse_holder_value(std::string_view bytes) {
    auto value = take_value<HolderValue>(bytes);
    if (!value || bytes.size() < value->scope_bytes) return std::nullopt;
    return Holder{std::string(bytes.substr(0, value->scope_bytes)), std::string(bytes.substr(value->scope_bytes))};
}

std::uint64_t parse_told_bytes(std::string_view bytes) noexcept {
    auto value = take_value<GrantValue>(bytes);
    return value ? value->told_bytes : 0;
}

std::string volume_value(const VolumeRecord& record) {
    VolumeValue value{};
    value.version = record_version;
    value.present = record.present;
    value.id = record.id;
    return bytes_of_value(value) + record.path;
}

std::optional<VolumeRecord> parse_volume_value(std::uint8_t index, std::string_view bytes) {
    auto value = take_value<VolumeValue>(bytes);
    if (!value) return std::nullopt;
    return VolumeRecord{index, value->id, std::string(bytes), value->present != 0};
}

std::string scrub_value(const ScrubRecord& record) {
    ScrubValue value{};
    value.version = record_version;
    value.next_chunk = record.next_chunk;
    value.pass_started = record.pass_started;
    value.pass_ended = record.pass_ended;
    if (record.at) {
        value.has_digest = 1;
        put_digest(value, *record.at);
    }
    return bytes_of_value(value);
}

std::optional<ScrubRecord> parse_scrub_value(std::string_view bytes) {
    auto value = take_value<ScrubValue>(bytes);
    if (!value) return std::nullopt;
    ScrubRecord record;
    record.next_chunk = value->next_chunk;
    record.pass_started = value->pass_started;
    record.pass_ended = value->pass_ended;
    if (!value->has_digest) return record;
    record.at = digest_in(*value);
    return record.at ? std::optional(record) : std::nullopt;
}

std::string setting_value(std::string_view text) {
    std::string value(1, static_cast<char>(record_version));
    return value.append(text);
}

std::optional<std::string_view> parse_setting_value(std::string_view value) noexcept {
    if (value.empty() || value.front() != static_cast<char>(record_version)) return std::nullopt;
    return value.substr(1);
}

Result<void> check_bounds(const LedgerChange& change) noexcept {
    constexpr Error too_large{Fault::policy, Code::too_large};
    if (auto* manifest = std::get_if<PutManifest>(&change)) {
        if (manifest->record.media_type.size() > media_type_bytes_max || manifest->record.references.size() > references_max)
            return too_large;
    }
    if (auto* grant = std::get_if<PutGrant>(&change)) {
        if (grant->scope.size() > UINT16_MAX || grant->platform.size() > told_platform_bytes_max) return too_large;
    }
    if (auto* tag = std::get_if<PutTag>(&change)) {
        if (tag->repository.size() + tag->tag.size() > tag_key_bytes_max || tag->record.media_type.size() > media_type_bytes_max)
            return too_large;
    }
    if (auto* setting = std::get_if<PutSetting>(&change)) {
        if (setting->key.size() > setting_key_bytes_max || setting->text.size() > setting_text_bytes_max) return too_large;
    }
    return {};
}

}  // namespace entrepot
