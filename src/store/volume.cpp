#include "store/volume.h"

#include "entrepot/base/log.h"
#include "entrepot/io/await.h"
#include "store/small_file.h"

#include <fcntl.h>

#include <charconv>
#include <cmath>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::string_view identity_words = "entrepot volume ";
constexpr unsigned volume_format = 1;
constexpr std::uint64_t identity_bytes_max = 256;
constexpr std::string_view layout_text = R"({"imageLayoutVersion":"1.0.0"})";
constexpr std::string_view empty_index_text =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";

struct Identity {
    unsigned format = 0;
    std::uint64_t id = 0;
};

/// "entrepot volume 1 0123456789abcdef\n"
std::optional<Identity> parse_identity(std::string_view text) noexcept {
    if (!text.starts_with(identity_words)) return std::nullopt;
    Identity identity;
    const char* end = text.data() + text.size();
    auto format = std::from_chars(text.data() + identity_words.size(), end, identity.format);
    if (format.ec != std::errc() || format.ptr == end || *format.ptr != ' ') return std::nullopt;
    auto id = std::from_chars(format.ptr + 1, end, identity.id, 16);
    // A newer format may say more behind the id.
    if (id.ec != std::errc() || identity.id == 0) return std::nullopt;
    return identity;
}

std::uint64_t mix(std::uint64_t value) noexcept {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

}  // namespace

Error disk_error(int error) noexcept {
    if (is_shortage(error)) return {Fault::capacity, Code::busy, error};
    return {Fault::storage, is_full(error) ? Code::no_space : Code::io_failed, error};
}

Volume::~Volume() {
    for (int directory : {blobs_[0], blobs_[1], partials_, quarantine_, root_}) {
        if (directory >= 0) close_directory(directory);
    }
}

Task<Result<void>> Volume::prepare(std::uint64_t fresh_id, bool may_be_lost) {
    auto ours = co_await open_file(root_, ".entrepot", O_RDONLY | O_DIRECTORY);
    if (ours >= 0) Loop::current().ring().close(ours);
    if (ours == -ENOENT && may_be_lost) co_return Error{Fault::storage, Code::not_found, ENOENT};
    if (ours < 0 && ours != -ENOENT) co_return disk_error(-ours);
    auto made = co_await make_directories();
    if (made) made = co_await open_directories();
    if (made) made = co_await know_yourself(fresh_id);
    if (made) made = co_await write_layout();
    co_return made;
}

Task<Result<void>> Volume::make_directories() {
    bool changed = false;
    for (const char* path : {".entrepot", ".entrepot/partial", ".entrepot/quarantine", "blobs", "blobs/sha256", "blobs/sha512"}) {
        auto result = co_await make_directory(root_, path, 0700);
        if (result < 0 && result != -EEXIST) co_return disk_error(-result);
        changed |= result >= 0;
    }
    if (!changed) co_return Result<void>();
    for (const char* path : {"blobs", ".entrepot", "."}) {
        std::string parent = path;
        auto synced = co_await sync_directory(root_, parent);
        if (!synced) co_return synced;
    }
    co_return Result<void>();
}

Task<Result<void>> Volume::open_directories() {
    struct Wanted {
        const char* path;
        int* into;
    };
    const Wanted wanted[] = {{"blobs/sha256", &blobs_[static_cast<std::size_t>(DigestAlgorithm::sha256)]},
                             {"blobs/sha512", &blobs_[static_cast<std::size_t>(DigestAlgorithm::sha512)]},
                             {".entrepot/partial", &partials_},
                             {".entrepot/quarantine", &quarantine_}};
    for (auto& directory : wanted) {
        auto opened = co_await open_file(root_, directory.path, O_RDONLY | O_DIRECTORY);
        if (opened < 0) co_return disk_error(-opened);
        *directory.into = opened;
    }
    co_return Result<void>();
}

Task<Result<void>> Volume::know_yourself(std::uint64_t fresh_id) {
    std::string path = ".entrepot/volume";
    auto text = co_await read_small_file(root_, path, identity_bytes_max);
    if (text) {
        auto identity = parse_identity(*text);
        if (!identity) co_return Error{Fault::storage, Code::corrupt};
        if (identity->format > volume_format) co_return Error{Fault::storage, Code::unsupported};
        id_ = identity->id;
        co_return Result<void>();
    }
    if (text.error().code != Code::not_found) co_return text.error();
    id_ = fresh_id;
    auto line = fmt::format("{}{} {:016x}\n", identity_words, volume_format, id_);
    auto written = co_await replace_small_file(root_, path, line);
    co_return written;
}

Task<Result<void>> Volume::write_layout() {
    struct Wanted {
        std::string path;
        std::string_view text;
    };
    const Wanted wanted[] = {{"oci-layout", layout_text}, {"index.json", empty_index_text}};
    for (auto& file : wanted) {
        auto there = co_await open_file(root_, file.path.c_str(), O_RDONLY);
        if (there >= 0) {
            Loop::current().ring().close(there);
            continue;
        }
        if (there != -ENOENT) co_return disk_error(-there);
        auto written = co_await replace_small_file(root_, file.path, file.text);
        if (!written) co_return written;
    }
    co_return Result<void>();
}

double Volume::score(const Digest& digest) const noexcept {
    // Weighted rendezvous: -weight / ln(u) with u uniform in (0, 1) drawn from digest and id.
    auto bits = mix(digest.hash() ^ mix(id_)) >> 11;
    double uniform = (static_cast<double>(bits) + 0.5) / 9007199254740992.0;  // 2^53
    return -static_cast<double>(bytes_) / std::log(uniform);
}

Volume* choose_volume(std::span<const std::unique_ptr<Volume>> volumes, const Digest& digest) noexcept {
    Volume* best = nullptr;
    double best_score = -1;
    for (auto& volume : volumes) {
        if (!volume->health().takes_writes()) continue;
        auto score = volume->score(digest);
        if (score <= best_score) continue;
        best = volume.get();
        best_score = score;
    }
    return best;
}

std::string flat_name(const Digest& digest) { return std::string(digest.algorithm_name()) + '-' + digest.hex(); }

std::optional<Digest> parse_flat_name(std::string_view name) noexcept {
    constexpr std::size_t algorithm_bytes = 6;  // "sha256", "sha512"
    if (name.size() <= algorithm_bytes || name.size() > Digest::text_bytes_max || name[algorithm_bytes] != '-')
        return std::nullopt;
    std::array<char, Digest::text_bytes_max> text;
    std::memcpy(text.data(), name.data(), name.size());
    text[algorithm_bytes] = ':';
    return Digest::parse({text.data(), name.size()});
}

}  // namespace entrepot
