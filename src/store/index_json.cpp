#include "store/index_json.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/manifest.h"
#include "entrepot/oci/name.h"
#include "store/small_file.h"
#include "store/warehouse.h"

#include <nlohmann/json.hpp>

namespace entrepot {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* reference_key = "org.opencontainers.image.ref.name";

std::string descriptor_text(const std::string& repository, const std::string& tag, const TagRecord& record) {
    Json descriptor;
    descriptor["mediaType"] = record.media_type;
    descriptor["digest"] = record.digest.text();
    descriptor["size"] = record.size;
    descriptor["annotations"][reference_key] = repository + ':' + tag;
    return descriptor.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const std::string* find_text(const Json& object, const char* key) {
    auto found = object.find(key);
    return found == object.end() ? nullptr : found->get_ptr<const Json::string_t*>();
}

std::optional<PutTag> parse_descriptor(const Json& descriptor) {
    if (!descriptor.is_object()) return std::nullopt;
    auto* digest_text = find_text(descriptor, "digest");
    auto* media_type = find_text(descriptor, "mediaType");
    auto size = descriptor.find("size");
    auto annotations = descriptor.find("annotations");
    if (!digest_text || !media_type || size == descriptor.end() || !size->is_number_unsigned()) return std::nullopt;
    if (annotations == descriptor.end() || !annotations->is_object()) return std::nullopt;
    auto* reference = find_text(*annotations, reference_key);
    auto digest = Digest::parse(*digest_text);
    auto colon = reference ? reference->rfind(':') : std::string::npos;
    if (!digest || colon == std::string::npos) return std::nullopt;
    PutTag tag{reference->substr(0, colon), reference->substr(colon + 1), {*digest, *media_type, size->get<std::uint64_t>(), 0}};
    auto slash = tag.repository.find('/');
    if (slash == std::string::npos || !is_tag(tag.tag) || !is_login_server(std::string_view(tag.repository).substr(0, slash)))
        return std::nullopt;
    if (!is_repository(std::string_view(tag.repository).substr(slash + 1)) || media_type->size() > media_type_bytes_max)
        return std::nullopt;
    if (tag.repository.size() + tag.tag.size() > tag_key_bytes_max) return std::nullopt;
    return tag;
}

}  // namespace

std::string index_text(const Ledger& ledger) {
    std::string text = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)";
    std::size_t written = 0, left_out = 0;
    auto add = [&](const std::string& repository, const std::string& tag, const TagRecord& record) {
        if (!ledger.find_blob_head(record.digest)) return;
        if (written == index_tags_max) {
            ++left_out;
            return;
        }
        if (written++ > 0) text += ',';
        text += descriptor_text(repository, tag, record);
    };
    ledger.each_tag(add);
    text += "]}";
    if (left_out > 0) log_warning("index.json carries the first {} tags; {} are only in the ledger", written, left_out);
    return text;
}

std::vector<PutTag> parse_index(std::string_view text) {
    std::vector<PutTag> tags;
    auto index = Json::parse(text, nullptr, false);
    if (!index.is_object()) return tags;
    auto manifests = index.find("manifests");
    if (manifests == index.end() || !manifests->is_array()) return tags;
    for (auto& descriptor : *manifests) {
        auto tag = parse_descriptor(descriptor);
        if (tag && tags.size() < index_tags_max) tags.push_back(std::move(*tag));
    }
    return tags;
}

Task<void> Warehouse::write_index() {
    auto version = ledger_->tags_version();
    if (version == index_version_ && !index_pending_) co_return;
    auto make_text = [this] { return index_text(*ledger_); };
    auto text = co_await run_blocking(Lane::resolver, make_text);
    index_pending_ = false;
    for (auto& volume : volumes_) {
        std::string path = "index.json";
        auto written = co_await replace_small_file(volume->root(), path, text);
        if (written) continue;
        note_write_error(*volume, "writing index.json", written.error().detail);
        index_pending_ = true;
    }
    index_version_ = version;
}

/// The ledger is new: the tags that the volumes remember come back.
Task<void> Warehouse::read_tags() {
    std::vector<LedgerChange> changes;
    std::size_t count = 0;
    for (auto& volume : volumes_) {
        std::string path = "index.json";
        auto text = co_await read_small_file(volume->root(), path, index_bytes_max);
        if (!text) continue;
        for (auto& tag : parse_index(*text)) {
            std::unordered_set<Digest, DigestHash> seen;
            co_await restore_manifest(tag.repository, tag.record.digest, tag.record.media_type, seen, changes);
            changes.push_back(std::move(tag));
            ++count;
        }
    }
    if (count == 0) co_return;
    auto applied = co_await ledger_->apply(std::move(changes));
    if (applied) log_info("the ledger is new: took {} tags from index.json", count);
    // Their manifests are findable only after the sweep: until then index.json must not be written without them.
    index_version_ = ledger_->tags_version();
}

/// A tag's manifest and, for an index, its children: what they are and what they reference is read again from their own bytes, which their digest proves. Who may have them
/// is known for anonymous rules only, since index.json does not name credentials: others are confirmed by upstream.
Task<void> Warehouse::restore_manifest(const std::string& repository, Digest digest, std::string media_type,
                                       std::unordered_set<Digest, DigestHash>& seen, std::vector<LedgerChange>& changes) {
    if (seen.size() >= restored_manifests_max || !seen.insert(digest).second) co_return;
    auto body = co_await read_manifest(digest);
    auto manifest = parse_manifest(body);
    if (body.empty() || !manifest) co_return;
    ManifestRecord record;
    record.media_type = media_type;
    changes.push_back(PutGrant{"", repository, digest});
    for (auto& descriptor : manifest->descriptors) {
        if (descriptor.role == DescriptorRole::subject || descriptor.foreign) continue;
        record.references.push_back(descriptor.digest);
        changes.push_back(PutGrant{"", repository, descriptor.digest});
        if (descriptor.role == DescriptorRole::manifest)
            co_await restore_manifest(repository, descriptor.digest, descriptor.media_type, seen, changes);
    }
    changes.push_back(PutManifest{digest, std::move(record)});
}

/// The bytes of a stored manifest, whichever volume has it; empty when none has what the digest says.
Task<std::string> Warehouse::read_manifest(Digest digest) {
    auto path = fmt::format("blobs/{}/{}", digest.algorithm_name(), digest.hex());
    for (auto& volume : volumes_) {
        auto body = co_await read_small_file(volume->root(), path, manifest_bytes_max);
        if (body && Digest::of(bytes_of(*body), digest.algorithm()) == digest) co_return *std::move(body);
    }
    co_return std::string();
}

}  // namespace entrepot
