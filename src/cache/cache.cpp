#include "entrepot/cache/cache.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/image_config.h"
#include "entrepot/oci/manifest.h"

#include "cache/bounded_body.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>

namespace entrepot {
namespace {

constexpr std::size_t hot_tags_max = 65536;
constexpr Duration touch_interval = seconds(5);  // the eviction needs no better resolution
constexpr Duration housekeeping_interval = seconds(1);
constexpr Duration keeping_check_interval = milliseconds(1);
constexpr Duration opening_patience =
    milliseconds(100);  // a disk that is well opens in one; a question to upstream takes longer than it is worth
constexpr Duration hot_tag_time_max = std::chrono::hours(24);
constexpr std::size_t hot_tag_slices_a_turn = 4096;
constexpr std::uint64_t config_bytes_max = 1 * MiB;  // an image's; larger ones say nothing of their platform to us
constexpr Duration config_wait = seconds(60);

std::uint64_t tag_hash(const Source& source, std::string_view tag) noexcept {
    return XXH3_64bits_withSeed(tag.data(), tag.size(), source.key);
}

bool names(std::string_view name, const Source& source, std::string_view tag) noexcept {
    return name.size() == source.ledger_name.size() + 1 + tag.size() && name.starts_with(source.ledger_name) &&
           name.ends_with(tag);
}

UpstreamRequest blob_request(const Source& source, const Digest& digest) {
    return request_of(source, UpstreamKind::blob, "blobs/" + digest.text());
}

}  // namespace

Cache::Cache(CacheTeam& team, Loop& loop, FetchTools& tools, CacheCounters& counters, const Options& options)
    : team_(team), loop_(loop), tools_(tools), counters_(counters), options_(options), hot_(options.hot, counters),
      manifests_(tools), tags_(tools, manifests_, [this](Source source, ManifestContent content) {
          return keep_manifest(std::move(source), std::move(content));
      }) {}

Cache::~Cache() { ASSERT(fetches_.empty()); }

// ---- hot: this shard's memory

HotRef Cache::find_hot(const Source& source, const Digest& digest) noexcept {
    auto hot = hot_.find(digest, loop_.time());
    if (!hot || !hot->granted_to(source.key)) return nullptr;
    touch(*hot);
    return hot;
}

void Cache::touch(HotBlob& blob) noexcept {
    if (blob.touched + touch_interval > loop_.time()) return;
    blob.touched = loop_.time();
    std::vector<Digest> together{blob.digest()};
    if (!blob.media_type.empty()) {
        // An image in use keeps its layers young, though its clients may hold them already and never ask.
        auto record = ledger().find_manifest(blob.digest());
        if (record) together.insert(together.end(), record->references.begin(), record->references.end());
    }
    tools_.store.touch(together);
}

Cache::HotTag* Cache::find_tag(const Source& source, std::string_view tag) {
    auto found = hot_tags_.find(tag_hash(source, tag));
    if (found == hot_tags_.end() || !names(found->second.name, source, tag)) return nullptr;
    if (found->second.until <= loop_.time() || found->second.freshness != source.freshness) return nullptr;
    return &found->second;
}

std::optional<ManifestAnswer> Cache::find_hot_tag(const Source& source, std::string_view tag) {
    auto* known = find_tag(source, tag);
    if (!known) return std::nullopt;
    auto content = find_hot(source, known->record.digest);
    if (!content) return std::nullopt;
    if (known->served == Served::stale) counters_.stale_served.add();
    ManifestAnswer answer;
    answer.served = known->served;
    answer.digest = known->record.digest;
    answer.size = known->record.size;
    answer.age_seconds = std::max<std::int64_t>(0, wall_seconds() - known->record.checked);
    if (content->media_type.empty()) answer.media_type = known->record.media_type;  // the bytes were fetched as a blob
    answer.content = std::move(content);
    return answer;
}

ManifestAnswer Cache::answer_of(const TagRecord& record, Served served) const {
    ManifestAnswer answer;
    answer.served = served;
    answer.digest = record.digest;
    answer.media_type = record.media_type;
    answer.size = record.size;
    answer.age_seconds = std::max<std::int64_t>(0, wall_seconds() - record.checked);
    return answer;
}

/// `asked_at`: forgets_ when the question began. What was forgotten since serves who asked, and nobody after him.
Task<HotRef> Cache::make_hot(const Source& source, BlobRef file, std::uint64_t asked_at) {
    auto hot = std::make_shared<HotBlob>(file->digest(), file->size());
    if (file->size() <= small_body_bytes_max) {
        auto buffer = co_await tools_.buffers.take(loop_.time() + seconds(30));
        if (buffer) {
            auto bytes = co_await file->read_chunk(0, buffer);
            if (bytes) hot->body = std::make_shared<const std::string>(text_of(*bytes));
        }
    }
    if (!hot->body) hot->file = std::move(file);
    hot->grant(source.key);
    if (forgets_ == asked_at) hot_.insert(hot, loop_.time());
    co_return hot;
}

HotRef Cache::make_hot(const Source& source, const ManifestContent& content, std::uint64_t asked_at) {
    auto known = hot_.find(content.digest, loop_.time());
    if (known && !known->media_type.empty() && forgets_ == asked_at) {
        known->grant(source.key);
        return known;
    }
    auto hot = std::make_shared<HotBlob>(content.digest, content.size);
    hot->media_type = content.media_type;
    hot->body = content.body;
    hot->file = content.file;
    hot->grant(source.key);
    if (forgets_ == asked_at) hot_.insert(hot, loop_.time());
    return hot;
}

// ---- blobs

Task<Fetched<BlobSource>> Cache::open_blob(Source source, Digest digest) {
    BlobSource blob;
    blob.hot = find_hot(source, digest);
    auto key = digest.hash() ^ source.key;  // another blob's costs a wait
    if (auto other = blob.hot ? nullptr : openings_.find(key)) {
        auto patience = loop_.time() + opening_patience;
        (void)co_await other->wait(patience);
        blob.hot = find_hot(source, digest);
    }
    if (blob.hot) {
        blob.length = blob.hot->size();
        co_return blob;
    }
    UnderWay::One opening(openings_, key);
    auto asked_at = forgets_;
    auto& owner = team_.owner_of(digest.hash());
    auto work = [&] { return owner.locate(source, digest, loop_); };
    auto located = co_await run_on(owner.loop_, work);
    bool is_stored = located.file && !located.failure;  // a file may be here and upstream refuse it to this source
    if (is_stored) {
        blob.hot = co_await make_hot(source, std::move(located.file), asked_at);
        blob.length = blob.hot->size();
        co_return blob;
    }
    opening.end();
    if (located.failure) co_return co_await open_past_store(source, digest, *located.failure);

    blob.served = located.started ? Served::fetch : Served::follow;
    if (!located.started) counters_.followers.add();
    Follower follower(std::move(located.subscription));
    auto known = co_await follower.until_length_known(loop_.time() + options_.head_deadline);
    // With no byte to hold back the head alone would be a complete answer: it waits for the digest.
    if (known && follower.progress().length == 0)
        known = co_await follower.until_beyond(0, loop_.time() + options_.head_deadline);
    if (!known) co_return upstream_failure(Fault::upstream, Code::timeout, "upstream did not begin to answer in time");
    if (follower.state() == FetchState::failed) co_return co_await open_past_store(source, digest, follower.progress().failure);
    blob.length = follower.progress().length;
    blob.follower.emplace(std::move(follower));
    co_return blob;
}

/// The client gets a blob that the store cannot take, or give, all the same: straight from upstream. Any other failure is the answer.
Task<Fetched<BlobSource>> Cache::open_past_store(Source source, Digest digest, UpstreamFailure failure) {
    if (failure.error.fault != Fault::storage && failure.error.fault != Fault::capacity) co_return failure;
    BlobSource blob;
    blob.served = Served::bypass;
    auto length = co_await blob_length(source, digest);
    if (!length) co_return length.error();
    blob.length = length->bytes;
    co_return blob;
}

/// On the owner: who has the digest, may this source have it, and if nobody has it, who fetches.
Task<Cache::Located> Cache::locate(Source source, Digest digest, Loop& reader) {
    Located located;
    bool granted = ledger().granted(source.scope(), source.ledger_name, digest);
    // After each wait the world may have moved, a fetch begun or ended: look again. A fetch of what is stored by then would throw it away first.
    for (;;) {
        auto running = fetches_.find(digest);
        // A manifest that is being stored is here in a moment. A fetch that failed did so for those who waited, and is putting its file away: who comes now gets a try of his own.
        bool failed = running != fetches_.end() && running->second->state() == FetchState::failed;
        if (failed || manifests_.keeping(digest)) {
            co_await Sleep(keeping_check_interval);
            continue;
        }
        if (running != fetches_.end()) {
            if (granted || running->second->source().key == source.key) {
                running->second->joined_by(source.client);
                located.subscription = running->second->subscribe(reader);
                co_return located;
            }
        } else {
            auto opened = co_await tools_.store.open(digest);
            if (opened) located.file = *std::move(opened);
            else if (fetches_.contains(digest) || manifests_.keeping(digest)) continue;
            else if (opened.error().fault == Fault::capacity) {
                // It is stored, but there is no descriptor left to open it: a fetch would throw it away first.
                located.failure = upstream_failure(Fault::capacity, Code::busy, "the store has no descriptor left");
                co_return located;
            }
            if (!located.file) break;
            if (granted) co_return located;
        }
        located.failure = co_await confirm(source, digest);
        if (located.failure || located.file) co_return located;
        granted = true;
    }
    located.started = true;
    located.subscription = start_fetch(source, digest).subscribe(reader);
    co_return located;
}

/// Content is here, but by another's rights: upstream must say that this source may have it.
Task<std::optional<UpstreamFailure>> Cache::confirm(const Source& source, const Digest& digest) {
    auto answer = co_await ask_for_head(source, digest);
    if (!answer) co_return of_upstream(answer.error());
    co_await (*answer)->finish();
    std::vector<LedgerChange> changes;
    changes.push_back(PutGrant{source.scope(), source.ledger_name, digest});
    auto written = co_await ledger().apply(std::move(changes));
    if (!written && !told_by_disk(written.error())) log_warning("the ledger refuses a grant for {}", digest.text());
    co_return std::nullopt;
}

/// Some registries (public.ecr.aws) answer 401 to every HEAD of a blob, others know none: a GET whose body stays unread tells the same.
Task<UpstreamAnswer> Cache::ask_for_head(Source source, Digest digest) {
    auto request = blob_request(source, digest);
    request.head = true;
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    bool no_head = !answer && (answer.error().error.code == Code::unauthorized || answer.error().error.detail == 405);
    if (!no_head) co_return answer;
    auto whole = blob_request(source, digest);
    auto again = co_await tools_.upstreams.ask(std::move(whole));
    co_return again;
}

Fetch& Cache::start_fetch(const Source& source, const Digest& digest) {
    auto fetch = std::make_unique<Fetch>(tools_, digest, source);
    auto& running = *fetch;
    fetches_.emplace(digest, &running);
    // One hop later, so that the first follower has subscribed before anything can end.
    background_.start(run_fetch(std::move(fetch)));
    return running;
}

Task<void> Cache::run_fetch(std::unique_ptr<Fetch> fetch) {
    co_await Breathe{};
    auto ended = [this](Fetch& done) { fetches_.erase(done.digest()); };
    auto running = fetch->run(ended);
    co_await running;
}

Task<Fetched<BlobLength>> Cache::blob_length(Source source, Digest digest) {
    auto hot = find_hot(source, digest);
    if (hot) co_return BlobLength{hot->size(), Served::hit};
    auto stored = ledger().find_blob(digest);
    if (stored && ledger().granted(source.scope(), source.ledger_name, digest)) co_return BlobLength{stored->size, Served::hit};
    auto answer = co_await ask_for_head(source, digest);
    if (!answer) co_return answer.error();
    auto exchange = *std::move(answer);
    auto length = exchange->content_length();
    co_await exchange->finish();
    if (!length) length = ledger().told_bytes(source.scope(), source.ledger_name, digest);
    if (!length) co_return upstream_failure(Fault::upstream, Code::bad_message, "upstream tells no length for the blob");
    co_return BlobLength{*length, Served::bypass};
}

Task<Fetched<std::unique_ptr<UpstreamExchange>>> Cache::open_bypass(Source source, Digest digest, std::uint64_t offset) {
    auto request = blob_request(source, digest);
    request.range_from = offset;
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    co_return answer;
}

Task<void> Cache::report_damaged(Digest digest) {
    for (auto* member : team_.members) {
        auto forget = [member, &digest] {
            member->hot_.forget(digest);
            return true;
        };
        (void)co_await call_on(member->loop_, forget);
    }
    co_await tools_.store.quarantine(digest);
}

// ---- manifests

Task<Fetched<ManifestAnswer>> Cache::open_manifest(Source source, std::string tag, Digest digest, bool head_only) {
    ManifestAnswer answer;
    answer.digest = digest;
    if (!tag.empty()) {
        auto asked_at = forgets_;
        auto resolved = co_await resolve_tag(source, tag);
        if (!resolved) co_return resolved.error();
        if (resolved->served == Served::stale) counters_.stale_served.add();
        answer = answer_of(resolved->record, resolved->served);
        if (resolved->fetched) answer.content = make_hot(source, *resolved->fetched, asked_at);
        if (answer.content || head_only) co_return answer;
    }
    auto content = co_await load_manifest(source, answer.digest, answer.served);
    if (!content) co_return content.error();
    answer.content = *std::move(content);
    answer.media_type = answer.content->media_type;
    answer.size = answer.content->size();
    co_return answer;
}

Task<Fetched<TagAnswer>> Cache::resolve_tag(const Source& source, const std::string& tag) {
    if (auto* known = find_tag(source, tag)) {
        TagAnswer answer;
        answer.record = known->record;
        answer.served = known->served;
        co_return answer;
    }
    auto asked_at = forgets_;
    auto& owner = team_.owner_of(tag_hash(source, tag));
    auto work = [&] { return owner.tags_.resolve(source, tag); };
    auto answer = co_await run_on(owner.loop_, work);
    if (answer) remember_tag(source, tag, *answer, asked_at);
    co_return answer;
}

void Cache::remember_tag(const Source& source, std::string_view tag, const TagAnswer& answer, std::uint64_t asked_at) {
    if (answer.fresh_for <= Duration::zero() || forgets_ != asked_at) return;
    if (hot_tags_.size() >= hot_tags_max) hot_tags_.clear();
    auto& hot = hot_tags_[tag_hash(source, tag)];
    hot.name = source.ledger_name + ":" + std::string(tag);
    hot.record = answer.record;
    hot.served = answer.served == Served::stale ? Served::stale : Served::hit;
    hot.freshness = source.freshness;
    // For ever is longer than the clock goes.
    hot.until = loop_.time() + std::min<Duration>(answer.fresh_for, hot_tag_time_max);
}

/// `served` becomes how the manifest came, when it was not here: a stale tag stays stale.
Task<Fetched<HotRef>> Cache::load_manifest(const Source& source, const Digest& digest, Served& served) {
    auto hot = find_hot(source, digest);
    if (hot && !hot->media_type.empty()) co_return hot;
    auto asked_at = forgets_;
    auto& owner = team_.owner_of(digest.hash());
    auto work = [&] { return owner.find_or_fetch_manifest(source, digest); };
    auto content = co_await run_on(owner.loop_, work);
    if (!content) co_return content.error();
    bool brought = content->way != ManifestContent::Way::found;
    if (brought && served != Served::stale)
        served = content->way == ManifestContent::Way::fetched ? Served::fetch : Served::follow;
    co_return make_hot(source, *content, asked_at);
}

Task<Fetched<ManifestContent>> Cache::find_or_fetch_manifest(Source source, Digest digest) {
    auto found = co_await manifests_.find(source, digest);
    if (found) co_return found;
    auto fetched = co_await manifests_.fetch(source, digest.text());
    if (fetched && fetched->way == ManifestContent::Way::fetched) background_.start(keep_here(source, *fetched));
    co_return fetched;
}

Task<void> Cache::keep_manifest(Source source, ManifestContent content) {
    auto& owner = team_.owner_of(content.digest.hash());
    auto keep = [&] { return owner.keep_here(source, content); };
    (void)co_await run_on(owner.loop_, keep);
}

/// On the owner: after a fetch of the same bytes as a blob, since a digest has one writer.
Task<void> Cache::keep_here(Source source, ManifestContent content) {
    RecordsUnderWay::One under_way(tools_.records);
    manifests_.remember(source, content);
    while (fetches_.contains(content.digest)) co_await Sleep(keeping_check_interval);
    co_await manifests_.keep(std::move(source), std::move(content));
}

// ---- platforms

namespace {

std::string platform_text(const Platform& platform) {
    auto text = platform.unknown() ? std::string(no_platform) : platform.text();
    return text.size() <= told_platform_bytes_max ? text : std::string(no_platform);
}

Platform platform_of_text(std::string_view text) { return text == no_platform ? Platform() : Platform::parse(text); }

/// The config that says what an image runs on; nullptr for everything else.
const Descriptor* image_config_of(const Manifest& manifest) {
    for (auto& descriptor : manifest.descriptors) {
        bool is_image = descriptor.media_type == "application/vnd.oci.image.config.v1+json" ||
                        descriptor.media_type == "application/vnd.docker.container.image.v1+json";
        if (descriptor.role == DescriptorRole::config && is_image && descriptor.size <= config_bytes_max) return &descriptor;
    }
    return nullptr;
}

}  // namespace

std::optional<Platform> Cache::told_platform(const Source& source, const Digest& digest) {
    auto told = ledger().told_platform(source.scope(), source.ledger_name, digest);
    if (told.empty()) return std::nullopt;
    return platform_of_text(told);
}

Task<Fetched<Platform>> Cache::platform_of(Source source, ManifestAnswer manifest) {
    if (auto told = told_platform(source, manifest.digest)) co_return *told;
    ASSERT(manifest.content);
    auto text = co_await read_hot(manifest.content);
    if (!text) co_return upstream_failure(text.error().fault, text.error().code, "the manifest cannot be read back");
    auto parsed = parse_manifest(*text);
    auto* config = parsed ? image_config_of(*parsed) : nullptr;
    Platform platform;
    if (config) {
        auto digest = config->digest;
        auto body = co_await read_small_blob(source, digest);
        if (!body) co_return body.error();
        // Histories make configs long: read where nobody waits for a loop.
        auto read = [&body] { return parse_image_config(*body); };
        auto named = co_await run_blocking(Lane::resolver, read);
        platform = Platform::of(named.os, named.architecture, named.variant);
    }
    std::vector<LedgerChange> changes;
    changes.push_back(PutGrant{source.scope(), source.ledger_name, manifest.digest, 0, platform_text(platform)});
    // Only of what was granted anyway: a source that may have the manifest no longer gets no grant here.
    bool granted = ledger().granted(source.scope(), source.ledger_name, manifest.digest);
    if (granted) (void)co_await ledger().apply(std::move(changes));
    co_return platform;
}

Task<Fetched<std::string>> Cache::read_small_blob(Source source, Digest digest) {
    auto opened = co_await open_blob(source, digest);
    if (!opened) co_return opened.error();
    if (opened->served == Served::bypass) co_return co_await read_bypassing(source, digest);
    Result<std::string> text = Error{Fault::upstream, Code::too_large};
    if (opened->length > config_bytes_max)
        co_return upstream_failure(Fault::upstream, Code::too_large, "the image's config is too large");
    if (opened->hot) text = co_await read_hot(opened->hot);
    else text = co_await read_followed(*opened->follower);
    if (text) co_return *std::move(text);
    bool failed = opened->follower && opened->follower->state() == FetchState::failed;
    if (failed) co_return opened->follower->progress().failure;
    co_return upstream_failure(text.error().fault, text.error().code, "the image's config cannot be read");
}

Task<Fetched<std::string>> Cache::read_bypassing(Source source, Digest digest) {
    auto answer = co_await open_bypass(source, digest, 0);
    if (!answer) co_return answer.error();
    auto exchange = *std::move(answer);
    auto body = co_await read_bounded_body(*exchange, config_bytes_max);
    co_await exchange->finish();
    if (!body) co_return upstream_failure(body.error().fault, body.error().code, "the image's config cannot be read");
    bool right = Digest::of(bytes_of(*body), digest.algorithm()) == digest;
    if (!right)
        co_return upstream_failure(Fault::upstream, Code::wrong_digest, "upstream sent another config than the manifest names");
    co_return *std::move(body);
}

Task<Result<std::string>> Cache::read_hot(HotRef blob) {
    if (blob->body) co_return *blob->body;
    std::string text;
    for (std::uint64_t chunk = 0; chunk < chunk_count(blob->size()); ++chunk) {
        auto buffer = co_await tools_.buffers.take(loop_.time() + config_wait);
        if (!buffer) co_return Error{Fault::capacity, Code::busy};
        auto bytes = co_await blob->file->read_chunk(chunk, buffer);
        if (!bytes) co_return bytes.error();
        text += text_of(*bytes);
    }
    co_return text;
}

/// All of it, once its digest matched.
Task<Result<std::string>> Cache::read_followed(Follower& follower) {
    auto deadline = loop_.time() + config_wait;
    while (follower.state() == FetchState::streaming || follower.state() == FetchState::requesting) {
        auto more = co_await follower.until_beyond(follower.available(), deadline);
        if (!more) co_return more.error();
    }
    if (follower.state() == FetchState::failed) co_return Error{Fault::upstream, Code::closed};
    std::string text(follower.progress().length.load(), '\0');
    for (std::size_t have = 0; have < text.size();) {
        MutableBytes rest(reinterpret_cast<std::byte*>(text.data()) + have, text.size() - have);
        auto read = co_await read_file(follower.progress().file, rest, have);
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read <= 0) co_return Error{Fault::storage, Code::io_failed};
        have += static_cast<std::size_t>(read);
    }
    co_return text;
}

// ---- at an operator's word

Task<Fetched<TagAnswer>> Cache::sync_tag(Source source, std::string tag) {
    auto& owner = team_.owner_of(tag_hash(source, tag));
    auto work = [&] { return owner.sync_here(source, tag); };
    auto answer = co_await run_on(owner.loop_, work);
    for (auto* member : team_.members) {
        auto forget = [&source, &tag, member] {
            ++member->forgets_;
            member->hot_tags_.erase(tag_hash(source, tag));
            return true;
        };
        (void)co_await call_on(member->loop_, forget);
    }
    co_return answer;
}

/// On the owner.
Task<Fetched<TagAnswer>> Cache::sync_here(Source source, std::string tag) {
    if (closing_) co_return upstream_failure(Fault::shutdown, Code::stopping, "the server is stopping");
    auto asking = tags_.refresh_now(std::move(source), std::move(tag));
    co_return co_await asking;
}

Task<Fetched<std::string>> Cache::probe(Source source, std::string reference) {
    auto request = request_of(source, UpstreamKind::manifest_head, "manifests/" + reference);
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    if (!answer) co_return answer.error();
    auto exchange = *std::move(answer);
    auto digest = exchange->docker_content_digest();
    co_await exchange->finish();
    co_return digest;
}

void Cache::forget(const std::vector<Digest>& digests) noexcept {
    ++forgets_;
    for (auto& digest : digests) {
        hot_.forget(digest);
        manifests_.forget(digest);
    }
}

/// A slice of the table a turn; a table that grew meanwhile is begun again, which it can do a few times only.
Task<void> Cache::forget_tags(const std::vector<std::string>& repositories) {
    std::unordered_set<std::string_view> names(repositories.begin(), repositories.end());
    ++forgets_;
    auto buckets = hot_tags_.bucket_count();
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        std::vector<std::uint64_t> going;
        for (auto entry = hot_tags_.begin(bucket); entry != hot_tags_.end(bucket); ++entry) {
            std::string_view name = entry->second.name;
            if (names.contains(name.substr(0, name.rfind(':')))) going.push_back(entry->first);
        }
        for (auto key : going) hot_tags_.erase(key);
        if (bucket % hot_tag_slices_a_turn != hot_tag_slices_a_turn - 1) continue;
        co_await Breathe{};
        if (hot_tags_.bucket_count() == buckets) continue;
        buckets = hot_tags_.bucket_count();
        bucket = 0;
    }
}

Task<Fetched<Document>> Cache::ask_document(Source source, UpstreamKind kind, std::string resource, std::string query,
                                            std::size_t bytes_max) {
    auto request = request_of(source, kind, std::move(resource));
    request.query = std::move(query);
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    if (!answer) co_return answer.error();
    auto exchange = *std::move(answer);
    Document document;
    document.content_type = exchange->content_type();
    document.link = exchange->link();
    document.filters_applied = exchange->filters_applied();
    auto body = co_await read_bounded_body(*exchange, bytes_max);
    co_await exchange->finish();
    if (!body) co_return upstream_failure(body.error().fault, body.error().code, "upstream's list cannot be used");
    document.body = *std::move(body);
    co_return document;
}

// ---- life

Task<void> Cache::housekeeping() {
    while (!closing_) {
        hot_.let_go_of_files(loop_.time(), false);
        (void)co_await stop_housekeeping_.wait(loop_.time() + housekeeping_interval);
    }
}

Task<void> Cache::relieve_pressure() {
    for (auto* member : team_.members) {
        auto let_go = [member] {
            member->hot_.let_go_of_files(member->loop_.time(), true);
            return true;
        };
        (void)co_await call_on(member->loop_, let_go);
    }
}

Task<void> Cache::close() {
    closing_ = true;
    stop_housekeeping_.notify_all();
    co_await tags_.close();
    co_await background_.close();
    hot_.clear();
}

}  // namespace entrepot
