#pragma once
// A file opened for reading, or standard input. Blocking; errors are errno.

#include "entrepot/base/result.h"

#include <cstddef>
#include <string>
#include <utility>

namespace entrepot::cli {

class File {
  public:
    static Result<File, int> open(const std::string& path);
    /// Standard input; it stays open.
    static File standard_input() { return File(0, false); }
    File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), owned_(other.owned_) {}
    File& operator=(File&&) = delete;
    ~File();

    int descriptor() const noexcept { return descriptor_; }
    /// All that is left of it; EFBIG when that is more than `bytes_max`.
    Result<std::string, int> read(std::size_t bytes_max);
    /// Up to and without the next line end, byte by byte, so that nothing behind it is taken; EFBIG as above.
    Result<std::string, int> read_line(std::size_t bytes_max);

  private:
    File(int descriptor, bool owned) : descriptor_(descriptor), owned_(owned) {}

    int descriptor_;
    bool owned_;
};

}  // namespace entrepot::cli
