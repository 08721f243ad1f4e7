#include "entrepot/cache/hot_blobs.h"

#include <algorithm>

namespace entrepot {

bool HotBlob::granted_to(std::uint64_t source_key) const noexcept {
    auto known = std::min(grants_made_, grants_max);
    return std::find(grants_.begin(), grants_.begin() + known, source_key) != grants_.begin() + known;
}

void HotBlob::grant(std::uint64_t source_key) noexcept {
    if (granted_to(source_key)) return;
    grants_[grants_made_++ % grants_max] = source_key;
}

HotRef HotBlobs::find(const Digest& digest, Instant time) noexcept {
    auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return nullptr;
    auto& blob = *found->second;
    blob.unlink();
    by_age_.push_back(blob);
    blob.used = time;
    return found->second;
}

void HotBlobs::insert(HotRef blob, Instant time) {
    forget(blob->digest());
    blob->used = time;
    if (blob->body) body_bytes_ += blob->body->size();
    by_age_.push_back(*blob);
    auto digest = blob->digest();
    by_digest_.emplace(digest, std::move(blob));
    while (by_digest_.size() > options_.entries_max || body_bytes_ > options_.body_bytes_max) drop(*by_age_.front());
    publish_gauges();
}

void HotBlobs::forget(const Digest& digest) noexcept {
    auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return;
    drop(*found->second);
    publish_gauges();
}

void HotBlobs::let_go_of_files(Instant time, bool all) noexcept {
    for (HotBlob* blob = by_age_.front(); blob;) {
        HotBlob* younger = by_age_.after(*blob);
        // A long transfer keeps `used` young without moving the entry, so a busy one says nothing about those behind it.
        bool idle = blob->used + options_.idle_max <= time;
        if (blob->file && (all || idle)) drop(*blob);
        blob = younger;
    }
    publish_gauges();
}

void HotBlobs::clear() noexcept {
    while (HotBlob* blob = by_age_.front()) drop(*blob);
    publish_gauges();
}

void HotBlobs::drop(HotBlob& blob) noexcept {
    if (blob.body) body_bytes_ -= blob.body->size();
    blob.unlink();
    auto digest = blob.digest();
    by_digest_.erase(digest);  // a reader may still hold the blob itself
}

void HotBlobs::publish_gauges() noexcept {
    counters_.hot_blobs.add(by_digest_.size() - gauge_entries_);
    counters_.hot_bytes.add(body_bytes_ - gauge_bytes_);
    gauge_entries_ = by_digest_.size();
    gauge_bytes_ = body_bytes_;
}

}  // namespace entrepot
