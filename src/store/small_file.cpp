#include "store/small_file.h"

#include "store/volume.h"

#include <fcntl.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t slice_bytes = 256 * KiB;

Error failed(int result) noexcept { return disk_error(-result); }

Task<Result<std::string>> read_open_file(int file, std::uint64_t bytes_max) {
    struct ::stat status {};
    int known = Loop::current().ring().status(file, status);
    if (known < 0) co_return failed(known);
    if (static_cast<std::uint64_t>(status.st_size) > bytes_max) co_return Error{Fault::storage, Code::too_large};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        auto into = std::as_writable_bytes(std::span(text)).subspan(have);
        auto slice = into.first(std::min(into.size(), slice_bytes));
        auto read = co_await read_file(file, slice, have);
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read < 0) co_return failed(read);
        if (read == 0) break;
        have += static_cast<std::size_t>(read);
    }
    text.resize(have);
    co_return text;
}

}  // namespace

Task<Result<std::string>> read_small_file(int directory, std::string path, std::uint64_t bytes_max) {
    auto file = co_await open_file(directory, path.c_str(), O_RDONLY);
    if (file == -ENOENT) co_return Error{Fault::storage, Code::not_found, ENOENT};
    if (file < 0) co_return failed(file);
    auto text = co_await read_open_file(file, bytes_max);
    Loop::current().ring().close(file);
    co_return text;
}

Task<Result<void>> write_whole(int file, Bytes bytes) {
    std::uint64_t written = 0;
    while (written < bytes.size()) {
        auto rest = bytes.subspan(written);
        auto slice = rest.first(std::min(rest.size(), slice_bytes));
        auto wrote = co_await write_file(file, slice, written);
        if (wrote == -EINTR || wrote == -EAGAIN) continue;
        if (wrote <= 0) co_return failed(wrote == 0 ? -EIO : wrote);
        written += static_cast<std::uint64_t>(wrote);
    }
    co_return Result<void>();
}

Task<Result<void>> replace_small_file(int root, std::string path, std::string_view text) {
    auto name = path.substr(path.rfind('/') + 1);
    auto draft = ".entrepot/" + name + ".new";
    auto file = co_await open_file(root, draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) co_return failed(file);
    auto bytes = bytes_of(text);
    auto written = co_await write_whole(file, bytes);
    int result = 0;
    if (written) result = co_await sync_file(file);
    Loop::current().ring().close(file);
    if (!written) co_return written;
    if (result >= 0) result = co_await rename_file(root, draft.c_str(), root, path.c_str(), 0);
    if (result < 0) co_return failed(result);
    auto end = path.rfind('/');
    auto parent = end == std::string::npos ? "." : path.substr(0, end);
    auto synced = co_await sync_directory(root, parent);
    co_return synced;
}

Task<Result<void>> sync_directory(int directory, std::string path) {
    auto opened = co_await open_file(directory, path.c_str(), O_RDONLY | O_DIRECTORY);
    if (opened < 0) co_return failed(opened);
    auto result = co_await sync_file(opened);
    Loop::current().ring().close(opened);
    if (result < 0) co_return failed(result);
    co_return Result<void>();
}

}  // namespace entrepot
