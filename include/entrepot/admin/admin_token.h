#pragma once
// The token that lets its holder change things over TCP: a text in the file `admin.token` of the store's directory, readable by the server's user alone. Made once, at the first
// start; whoever runs the server may replace it at any time, since the file is read for each token that is presented. Never in memory longer than a comparison takes.

#include "entrepot/base/result.h"
#include "entrepot/io/task.h"

#include <string>
#include <string_view>

namespace entrepot {

/// Equal? Takes the same time wherever two texts of one length differ.
bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

/// Used on one loop. Prepared before anything else is asked of it.
class AdminToken {
  public:
    static constexpr const char* file_name = "admin.token";
    // Of the text without its line end. A made one has 43: 256 bits in base64url.
    static constexpr std::size_t bytes_min = 32, bytes_max = 512;

    /// `directory` is the store's, which is locked: no other server makes the file meanwhile.
    explicit AdminToken(std::string directory) : path_(std::move(directory)) {}
    ~AdminToken();
    AdminToken(const AdminToken&) = delete;
    AdminToken& operator=(const AdminToken&) = delete;

    /// Makes the file when there is none: whole and durable, or not at all. What cannot be made or used is told in the log, and then no token is right: a server without a
    /// token still serves, and its Unix socket needs none.
    Task<void> prepare();

    enum class Verdict : std::uint8_t {
        right,
        wrong,
        unusable,  ///< the file is missing, empty, too short, or its owner or mode lets others read or write it
    };
    Task<Verdict> check(std::string presented);

  private:
    struct Held {
        std::string text;
    };
    Task<Result<Held, std::string>> read();
    Task<Result<Held, std::string>> read_open(int file);
    Task<int> make(std::string text);
    Task<int> write_draft(std::string text);

    std::string path_;
    int directory_ = -1;
};

}  // namespace entrepot
