#include "server.h"

#include "entrepot/io/blocking.h"

#include "finish.h"
#include "still_seams.h"

#include <fmt/format.h>

#include <cstdlib>

namespace entrepot::bench {
namespace {

constexpr const char* media_type = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* ledger_name = "docker.io/library/busybox";

[[noreturn]] void give_up(const std::string& why) {
    fmt::print(stderr, "hot_paths: {}\n", why);
    std::exit(1);
}

Config config_of(const std::string& directory) {
    auto config = Config::parse("[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n", "hot_paths.toml");
    if (!config) give_up(config.error());
    config->store.path = directory;
    config->store.capacity = {std::nullopt, GiB};
    return *std::move(config);
}

/// Reads like an image's manifest; what is served is never parsed again.
std::string manifest_text(const Digest& layer) {
    auto text =
        fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","layers":[{{"digest":"{}","size":{}}}],"annotations":{{"padding":")",
                    media_type, layer.text(), Server::content_bytes);
    std::string end = "\"}}";
    text.append(Server::content_bytes - text.size() - end.size(), '.');
    return text + end;
}

}  // namespace

Server::Server(const std::string& directory) {
    start_lanes();
    start(directory);
    fill();
}

void Server::start(const std::string& directory) {
    Box::Options options;
    options.ledger_map_bytes = GiB;  // valgrind has no room for more
    auto box = Box::open(config_of(directory), std::move(options));
    if (!box) give_up(box.error());
    box_ = *std::move(box);
    box_->set_shard_count(1);
    auto ring = Ring::open({});
    if (!ring) give_up(ring.error());
    auto added = box_->add_shard(0, *std::move(ring));
    if (!added) give_up(added.error());
    box_->connect();
    shard().loop().enter();
    bool ready = false;
    box_->start([&ready](Result<void, std::string> started) {
        if (!started) give_up(started.error());
        ready = true;
    });
    turn_until(shard().loop(), [&ready] { return ready; });
}

Task<Result<void>> Server::keep_blob(const std::string& bytes, const Digest& digest) {
    Digester digester(DigestAlgorithm::sha256);
    auto writer = co_await box_->store().begin(digest, bytes.size(), digester);
    if (!writer) co_return writer.error();
    auto appended = co_await (*writer)->append(bytes_of(bytes), -1);
    if (!appended) co_return appended;
    auto published = co_await (*writer)->publish();
    if (!published) co_return published.error();
    co_return Result<void>();
}

void Server::fill() {
    auto& loop = shard().loop();
    std::string blob(content_bytes, 'b');
    auto blob_digest = Digest::of(bytes_of(blob));
    auto manifest = manifest_text(blob_digest);
    auto manifest_digest = Digest::of(bytes_of(manifest));
    blob_ = blob_digest.text();
    manifest_ = manifest_digest.text();
    if (!finish(loop, keep_blob(blob, blob_digest)) || !finish(loop, keep_blob(manifest, manifest_digest)))
        give_up("the store does not take a blob");
    std::vector<LedgerChange> changes;
    changes.push_back(PutManifest{manifest_digest, {media_type, {blob_digest}}});
    changes.push_back(PutGrant{"", ledger_name, manifest_digest});
    changes.push_back(PutGrant{"", ledger_name, blob_digest});
    changes.push_back(PutTag{ledger_name, tag, {manifest_digest, media_type, content_bytes, wall_seconds()}});
    if (!finish(loop, box_->store().ledger().apply(std::move(changes)))) give_up("the ledger does not take a tag");
}

Server::~Server() {
    box_->stop();
    turn_until(shard().loop(), [this] {
        let_time_pass(milliseconds(1));
        return shard().loop().stopping();
    });
    stop_lanes();
    box_->remove_shard(0);
    box_.reset();
}

}  // namespace entrepot::bench
