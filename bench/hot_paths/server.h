#pragma once
// The whole server on the calling thread, as main would run one shard of it: a box over the real ring, with a store that holds one small image. Its loop is
// turned by hand, so that what the clients do on the same thread can be told apart from what the server does.

#include "entrepot/shard/box.h"

#include <memory>
#include <string>

namespace entrepot::bench {

class Server {
  public:
    /// Its store is made in `directory`, which must be empty.
    explicit Server(const std::string& directory);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    static constexpr std::size_t content_bytes = 2048;            ///< of the manifest, and of the blob
    static constexpr const char* repository = "library/busybox";  ///< of docker.io
    static constexpr const char* tag = "1.35";
    const std::string& manifest() const noexcept { return manifest_; }  ///< its digest
    const std::string& blob() const noexcept { return blob_; }          ///< its digest

    const Address& address() noexcept { return shard().address(0); }
    /// One turn; waits for something to happen, or only looks.
    void turn_and_wait() { shard().loop().turn(now() + seconds(1)); }
    void turn() { shard().loop().turn(now()); }
    /// Before its first turn after another loop turned on this thread.
    void enter() noexcept { shard().loop().enter(); }
    std::size_t connections() noexcept { return shard().metric_sources().connections->open(); }

  private:
    Shard& shard() noexcept { return box_->shard(0); }
    void start(const std::string& directory);
    void fill();
    Task<Result<void>> keep_blob(const std::string& bytes, const Digest& digest);

    std::unique_ptr<Box> box_;
    std::string manifest_, blob_;
};

}  // namespace entrepot::bench
