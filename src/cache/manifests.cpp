#include "entrepot/cache/manifests.h"

#include "entrepot/base/log.h"
#include "entrepot/cache/hot_blobs.h"
#include "entrepot/oci/manifest.h"
#include "entrepot/rules/platform.h"

#include "cache/bounded_body.h"

namespace entrepot {
namespace {

constexpr Duration keeping_check_interval = milliseconds(1);

}  // namespace

UpstreamFailure upstream_failure(Fault fault, Code code, std::string why) {
    UpstreamFailure failure;
    failure.error = {fault, code};
    failure.why = std::move(why);
    return failure;
}

Fetched<ManifestContent> inspect_manifest(std::string body, std::string_view content_type, std::string_view claimed_digest,
                                          std::string_view reference) {
    auto bytes = bytes_of(body);
    auto wanted = Digest::parse(reference);
    auto claimed = Digest::parse(claimed_digest);
    ManifestContent content;
    content.digest = wanted ? Digest::of(bytes, wanted->algorithm())
                            : Digest::of(bytes, claimed ? claimed->algorithm() : DigestAlgorithm::sha256);
    if (wanted && !(content.digest == *wanted)) {
        return upstream_failure(Fault::upstream, Code::wrong_digest,
                                fmt::format("upstream sent a manifest that hashes to {}", content.digest.text()));
    }
    // The body decides what it is; a header that claims otherwise means that one of the two was tampered with.
    if (!wanted && claimed && !(content.digest == *claimed)) {
        return upstream_failure(
            Fault::upstream, Code::wrong_digest,
            fmt::format("upstream claims digest {} for a manifest that hashes to {}", claimed->text(), content.digest.text()));
    }
    auto manifest = parse_manifest(body);
    if (!manifest)
        return upstream_failure(Fault::upstream, Code::bad_message,
                                fmt::format("upstream sent no usable manifest: {}", name_of(manifest.error())));
    auto media_type = served_media_type(*manifest, content_type);
    if (!media_type) {
        return upstream_failure(
            Fault::upstream, Code::bad_message,
            fmt::format("upstream sent a manifest as \"{}\": {}", escaped(content_type, 100), name_of(media_type.error())));
    }
    content.media_type = *std::move(media_type);
    content.size = body.size();
    content.body = std::make_shared<const std::string>(std::move(body));
    return content;
}

Task<Fetched<ManifestContent>> Manifests::find(Source source, Digest digest) {
    auto absent = upstream_failure(Fault::storage, Code::not_found, "not stored");
    if (auto* recent = find_recent(source, digest)) co_return *recent;
    auto& ledger = tools_.store.ledger();
    auto record = ledger.find_manifest(digest);
    if (!record || !ledger.granted(source.scope(), source.ledger_name, digest)) co_return absent;
    ManifestContent content;
    content.digest = digest;
    content.media_type = record->media_type;
    tools_.store.touch(record->references);
    constexpr int looks_max = 2;  // the second when the first was misled: the store may find that only its sum was wrong
    for (int looks = 0; looks < looks_max; ++looks) {
        auto opened = co_await tools_.store.open(digest);
        if (!opened) co_return absent;
        content.file = *std::move(opened);
        content.size = content.file->size();
        content.file->touch();
        if (content.size > small_body_bytes_max) co_return content;

        auto buffer = co_await tools_.buffers.take(Loop::current().time() + seconds(30));
        if (!buffer) co_return content;
        auto bytes = co_await content.file->read_chunk(0, buffer);
        if (bytes) content.body = std::make_shared<const std::string>(text_of(*bytes));
        content.file.reset();
        if (bytes) co_return content;
        if (bytes.error().code != Code::corrupt) co_return absent;
        co_await tools_.store.quarantine(digest);
    }
    co_return absent;
}

Task<Fetched<ManifestContent>> Manifests::fetch(Source source, std::string reference, std::shared_ptr<Askers> askers) {
    auto key = fmt::format("{}\n{}\n{}", source.scope(), source.ledger_name, reference);
    auto running = in_flight_.find(key);
    if (running != in_flight_.end()) {
        auto joined = running->second;
        joined->askers->join(*askers);
        while (!joined->outcome) (void)co_await joined->ended.wait();
        auto shared = *joined->outcome;
        if (shared) shared->way = ManifestContent::Way::joined;
        co_return shared;
    }
    // Whoever looked before the last fetch ended and comes here after it finds what that fetch brought.
    auto digest = Digest::parse(reference);
    if (auto* recent = digest ? find_recent(source, *digest) : nullptr) co_return *recent;
    auto mine = std::make_shared<InFlight>();
    mine->askers = std::move(askers);
    in_flight_.emplace(key, mine);
    auto outcome = co_await fetch_now(source, reference, *mine->askers);
    if (outcome) outcome->way = ManifestContent::Way::fetched;
    if (outcome && digest) remember(source, *outcome);
    in_flight_.erase(key);
    mine->outcome.emplace(outcome);
    mine->ended.notify_all();
    co_return outcome;
}

void Manifests::remember(const Source& source, const ManifestContent& content) {
    if (find_recent(source, content.digest)) return;
    recent_.push_back({source.key, content, Loop::current().time() + recent_time});
    recent_.back().content.way = ManifestContent::Way::found;
    recent_bytes_ += content.size;
    while (recent_.size() > recent_max || recent_bytes_ > recent_bytes_max) forget_oldest_recent();
}

const ManifestContent* Manifests::find_recent(const Source& source, const Digest& digest) {
    while (!recent_.empty() && recent_.front().until <= Loop::current().time()) forget_oldest_recent();
    for (auto& recent : recent_) {
        if (recent.source_key == source.key && recent.content.digest == digest) return &recent.content;
    }
    return nullptr;
}

void Manifests::forget(const Digest& digest) noexcept {
    auto is_it = [&](const Recent& recent) { return recent.content.digest == digest; };
    for (auto& recent : recent_) {
        if (is_it(recent)) recent_bytes_ -= recent.content.size;
    }
    std::erase_if(recent_, is_it);
}

void Manifests::forget_oldest_recent() noexcept {
    recent_bytes_ -= recent_.front().content.size;
    recent_.pop_front();
}

Task<Fetched<ManifestContent>> Manifests::fetch_now(const Source& source, const std::string& reference, Askers& askers) {
    auto request = request_of(source, UpstreamKind::manifest_get, "manifests/" + reference);
    request.askers = &askers;
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    if (!answer) co_return answer.error();
    auto exchange = *std::move(answer);
    auto body = co_await read_body(*exchange);
    co_await exchange->finish();
    if (!body) co_return body.error();
    auto content = inspect_manifest(*std::move(body), exchange->content_type(), exchange->docker_content_digest(), reference);
    if (!content && content.error().error.code == Code::wrong_digest) {
        tools_.counters.digest_mismatches.add();
        tools_.upstreams.distrust(*source.upstream, exchange->endpoint());
    }
    co_return content;
}

Task<Fetched<std::string>> Manifests::read_body(UpstreamExchange& exchange) {
    auto too_large = upstream_failure(Fault::upstream, Code::too_large,
                                      fmt::format("upstream's manifest is larger than {} MiB", manifest_bytes_max / MiB));
    auto length = exchange.content_length();
    if (length && *length > manifest_bytes_max) co_return too_large;
    auto body = co_await read_bounded_body(exchange, manifest_bytes_max);
    if (body) co_return *std::move(body);
    if (body.error().code == Code::too_large) co_return too_large;
    co_return upstream_failure(body.error().fault, body.error().code, "upstream broke off in a manifest");
}

namespace {

/// As an index tells it of a child. What is longer than any platform's name is none.
std::string platform_of(const Descriptor& descriptor) {
    if (descriptor.role != DescriptorRole::manifest) return {};
    auto platform = Platform::of(descriptor.os, descriptor.architecture, descriptor.variant);
    auto text = platform.unknown() ? std::string(no_platform) : platform.text();
    return text.size() <= told_platform_bytes_max ? text : std::string(no_platform);
}

/// What a manifest makes true: it is one, and `source` may have it and what it is made of. Child manifests too: upstream gave the index that names them.
std::vector<LedgerChange> records_of(const Source& source, const ManifestContent& content) {
    std::vector<LedgerChange> changes;
    ManifestRecord record;
    record.media_type = content.media_type;
    changes.push_back(PutGrant{source.scope(), source.ledger_name, content.digest});
    auto manifest = parse_manifest(*content.body);
    ASSERT(manifest);  // inspect_manifest read the same bytes
    for (auto& descriptor : manifest->descriptors) {
        if (descriptor.role == DescriptorRole::subject || descriptor.foreign) continue;
        record.references.push_back(descriptor.digest);
        changes.push_back(
            PutGrant{source.scope(), source.ledger_name, descriptor.digest, descriptor.size, platform_of(descriptor)});
    }
    changes.push_back(PutManifest{content.digest, std::move(record)});
    return changes;
}

}  // namespace

Task<void> Manifests::keep(Source source, ManifestContent content) {
    // Somebody stores the same bytes right now: this source's grant follows, and the caller may rely on both.
    while (keeping_.contains(content.digest)) co_await Sleep(keeping_check_interval);
    keeping_.insert(content.digest);
    auto known = co_await tools_.store.open(content.digest);
    // Stored, but no descriptor is left to open it: whoever writes it again would remove it first.
    bool is_stored = known || known.error().fault == Fault::capacity;
    auto changes = records_of(source, content);
    Result<void> stored;
    if (is_stored) stored = co_await tools_.store.ledger().apply(std::move(changes));
    else stored = co_await write(content, std::move(changes));
    // Discarded between the two: its records would stand for content that is not here.
    if (stored && is_stored && !tools_.store.ledger().find_blob_head(content.digest)) {
        std::vector<LedgerChange> undo;
        undo.push_back(RemoveBlob{content.digest});
        stored = co_await tools_.store.ledger().apply(std::move(undo));
    }
    if (!stored && !told_by_disk(stored.error()))
        log_warning("manifest {} of {} was served but not stored: {}", content.digest.text(), source.ledger_name,
                    name_of(stored.error().code));
    keeping_.erase(content.digest);
}

Task<Result<void>> Manifests::write(const ManifestContent& content, std::vector<LedgerChange> records) {
    Digester digester(content.digest.algorithm());
    auto writer = co_await tools_.store.begin(content.digest, content.size, digester);
    if (!writer) co_return writer.error();
    auto rest = bytes_of(*content.body).subspan((*writer)->written());
    Result<void> appended;
    while (appended && !rest.empty()) {
        auto piece = rest.first(std::min<std::size_t>(rest.size(), BufferPool::buffer_bytes));
        digester.update(piece);
        appended = co_await (*writer)->append(piece, -1);
        rest = rest.subspan(piece.size());
    }
    // A kept partial file of this name may have begun with other bytes.
    if (appended && !(digester.finish() == content.digest)) appended = Error{Fault::storage, Code::corrupt};
    if (!appended) {
        co_await (*writer)->abandon(false);
        co_return appended;
    }
    auto published = co_await (*writer)->publish(std::move(records));
    if (!published) co_return published.error();
    co_return Result<void>();
}

}  // namespace entrepot
