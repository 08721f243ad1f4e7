#include "load/pull.h"

#include "entrepot/oci/manifest.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::load {
namespace {

class Pull {
  public:
    Pull(Node& node, const Target& image)
        : node_(node), image_(image), plan_(node.crew().plan), profile_(plan_.profile), tag_login_(plan_), login_(plan_),
          scope_(fmt::format("repository:{}:pull", image.repository)) {}

    Task<bool> run(Instant due);

  private:
    Login& tag_login() noexcept { return profile_.logs_in_twice ? tag_login_ : login_; }
    bool failed_already() const noexcept { return failed_ || node_.crew().is_over; }

    Task<bool> ask_base();
    Task<bool> resolve_tag(std::string& reference, Instant due);
    Task<std::optional<Manifest>> fetch_manifest(std::string reference, std::string media_type, Instant due);
    std::optional<Manifest> read_manifest(const Body& body, const Got& got, std::string_view reference);
    const Descriptor* find_platform(const Manifest& index) const noexcept;
    Task<void> fetch_blobs(const Manifest& manifest);
    Task<void> fetch_in_turn();
    Task<void> fetch_blob(const Descriptor& blob);
    Task<Result<Got, Failed>> fetch_with_resumes(const Descriptor& blob, Ask& ask, Body& body);
    std::string request(std::string_view method, const Url& url, std::string_view lines) const;
    Url place(std::string_view kind, std::string_view reference) const;
    void fail(const Failed& why) {
        failed_ = true;
        node_.note(why);
    }

    Node& node_;
    const Target& image_;
    const Plan& plan_;
    const ClientProfile& profile_;
    Login tag_login_, login_;
    std::string scope_;
    std::vector<const Descriptor*> waiting_;  // blobs, the next one last
    bool failed_ = false;
};

std::string Pull::request(std::string_view method, const Url& url, std::string_view lines) const {
    return fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}", method, url.target(), url.origin.authority(), lines);
}

Url Pull::place(std::string_view kind, std::string_view reference) const {
    Url url;
    url.origin = image_.url.origin;
    url.path = fmt::format("/v2/{}/{}/{}", image_.repository, kind, reference);
    if (!image_.ns.empty()) url.query = add_query("", "ns", image_.ns);
    return url;
}

Task<bool> Pull::run(Instant due) {
    auto reference = image_.reference;
    if (profile_.asks_base) {
        auto there = co_await ask_base();
        if (!there) co_return false;
    }
    if (profile_.heads_tag && !Digest::parse(reference)) {
        auto resolved = co_await resolve_tag(reference, due);
        if (!resolved) co_return false;
    }
    auto manifest = co_await fetch_manifest(reference, {}, now());
    if (manifest && manifest->is_index()) {
        const auto* child = find_platform(*manifest);
        if (!child) fail(Failed{Trouble::no_platform});
        if (!child) co_return false;
        auto digest = child->digest.text();
        auto media_type = child->media_type;
        manifest = co_await fetch_manifest(std::move(digest), std::move(media_type), now());
    }
    if (!manifest) co_return false;
    co_await fetch_blobs(*manifest);
    co_return !failed_already();
}

Task<bool> Pull::ask_base() {
    Url url;
    url.origin = image_.url.origin;
    url.path = "/v2/";
    auto lines = request("GET", url, base_lines(profile_));
    Ask ask;
    ask.kind = Kind::base;
    ask.url = &url;
    ask.lines = lines;
    ask.login = &tag_login();
    ask.scope = scope_;
    Body body(Body::Use::drop, node_.crew().tally, node_.crew().live);
    auto due = now();
    auto got = co_await node_.fetch(ask, body);
    if (got) node_.note(ask, *got, body, due);
    else fail(got.error());
    co_return got.has_value();
}

/// A HEAD tells the digest of a tag. Where the server does not say it, the tag itself is asked for.
Task<bool> Pull::resolve_tag(std::string& reference, Instant due) {
    auto url = place("manifests", reference);
    auto lines = request("HEAD", url, manifest_lines(profile_, {}, true));
    Ask ask;
    ask.kind = Kind::manifest_head;
    ask.url = &url;
    ask.lines = lines;
    ask.is_head = true;
    ask.login = &tag_login();
    ask.scope = scope_;
    Body body(Body::Use::drop, node_.crew().tally, node_.crew().live);
    auto got = co_await node_.fetch(ask, body);
    if (!got) {
        fail(got.error());
        co_return false;
    }
    node_.note(ask, *got, body, due);
    if (Digest::parse(got->content_digest)) reference = got->content_digest;
    co_return true;
}

Task<std::optional<Manifest>> Pull::fetch_manifest(std::string reference, std::string media_type, Instant due) {
    auto url = place("manifests", reference);
    auto lines = request("GET", url, manifest_lines(profile_, media_type, false));
    Ask ask;
    ask.kind = Kind::manifest_get;
    ask.url = &url;
    ask.lines = lines;
    ask.login = &login_;
    ask.scope = scope_;
    Body body(Body::Use::keep, node_.crew().tally, node_.crew().live);
    auto got = co_await node_.fetch(ask, body);
    if (!got) {
        fail(got.error());
        co_return std::nullopt;
    }
    auto manifest = read_manifest(body, *got, reference);
    if (manifest) node_.note(ask, *got, body, due);
    co_return manifest;
}

/// Every client checks a manifest's digest, so this one does without being told to.
std::optional<Manifest> Pull::read_manifest(const Body& body, const Got& got, std::string_view reference) {
    auto wanted = Digest::parse(reference);
    if (!wanted) wanted = Digest::parse(got.content_digest);
    auto manifest = parse_manifest(body.text());
    if (body.too_large()) fail(Failed{Trouble::bad_manifest, got.status});
    else if (wanted && Digest::of(bytes_of(body.text()), wanted->algorithm()) != *wanted)
        fail(Failed{Trouble::wrong_digest, got.status});
    else if (!manifest) fail(Failed{Trouble::bad_manifest, got.status});
    if (failed_) return std::nullopt;
    if (wanted && node_.verifies()) ++node_.crew().tally.verified;
    return std::move(*manifest);
}

const Descriptor* Pull::find_platform(const Manifest& index) const noexcept {
    auto fits = [this](const Descriptor& child) {
        if (child.role != DescriptorRole::manifest || child.os != plan_.platform_os ||
            child.architecture != plan_.platform_architecture)
            return false;
        return plan_.platform_variant.empty() || child.variant == plan_.platform_variant;
    };
    auto found = std::find_if(index.descriptors.begin(), index.descriptors.end(), fits);
    return found == index.descriptors.end() ? nullptr : &*found;
}

Task<void> Pull::fetch_blobs(const Manifest& manifest) {
    const Descriptor* config = nullptr;
    for (const auto& blob : manifest.descriptors) {
        if (blob.role == DescriptorRole::config) config = &blob;
        bool twice =
            std::any_of(waiting_.begin(), waiting_.end(), [&](const Descriptor* other) { return other->digest == blob.digest; });
        if (blob.role == DescriptorRole::layer && !blob.foreign && !twice) waiting_.push_back(&blob);
    }
    std::reverse(waiting_.begin(), waiting_.end());
    if (config && profile_.config_first) co_await fetch_blob(*config);
    else if (config) waiting_.push_back(config);
    if (failed_already()) co_return;
    TaskGroup transfers;
    auto count = std::min<std::size_t>(waiting_.size(), profile_.transfers_max);
    for (std::size_t index = 0; index < count; ++index) transfers.start(fetch_in_turn());
    co_await transfers.close();
}

Task<void> Pull::fetch_in_turn() {
    while (!waiting_.empty() && !failed_already()) {
        const auto* blob = waiting_.back();
        waiting_.pop_back();
        co_await fetch_blob(*blob);
    }
}

Task<void> Pull::fetch_blob(const Descriptor& blob) {
    auto url = place("blobs", blob.digest.text());
    Ask ask;
    ask.kind = Kind::blob;
    ask.url = &url;
    ask.login = &login_;
    ask.scope = scope_;
    Body body(Body::Use::drop, node_.crew().tally, node_.crew().live);
    if (node_.verifies()) body.hash_with(blob.digest.algorithm());
    if (node_.crew().slow_reader > 0) body.read_slowly(node_.crew().slow_reader);
    auto due = now();
    auto got = co_await fetch_with_resumes(blob, ask, body);
    if (!got) co_return fail(got.error());
    if (body.received() != blob.size) co_return fail(Failed{Trouble::wrong_length, got->status});
    auto digest = body.digest();
    if (digest && *digest != blob.digest) co_return fail(Failed{Trouble::wrong_digest, got->status});
    if (digest) ++node_.crew().tally.verified;
    node_.note(ask, *got, body, due);
}

Task<Result<Got, Failed>> Pull::fetch_with_resumes(const Descriptor& blob, Ask& ask, Body& body) {
    for (unsigned resumes = 0;; ++resumes) {
        auto range = body.received() > 0 ? fmt::format("Range: bytes={}-\r\n", body.received()) : std::string();
        auto lines = request("GET", *ask.url, blob_lines(profile_, blob.media_type, !range.empty()));
        ask.range = range;
        ask.lines = lines;
        auto got = co_await node_.fetch(ask, body);
        bool broke_off = !got && got.error().trouble == Trouble::short_body;
        if (!broke_off || resumes == profile_.resumes_max || node_.crew().is_over) co_return got;
        ++node_.crew().tally.resumed;
        if (profile_.resume_pause == Duration(0)) continue;
        auto until = Loop::current().time() + profile_.resume_pause;
        co_await node_.crew().over.wait(until);
    }
}

}  // namespace

Task<bool> pull_image(Node& node, const Target& image, Instant due) {
    Pull pull(node, image);
    auto done = co_await pull.run(due);
    auto& crew = node.crew();
    if (done) crew.tally.pulled(due, now());
    else if (!crew.is_over || crew.counts_unfinished) crew.tally.pull_failed();
    co_await node.close();  // the next pull is another machine's
    co_return done;
}

}  // namespace entrepot::load
