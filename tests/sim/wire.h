#pragma once
// One end of a connection as the simulated clients and upstreams use it, straight on the ring: nothing of the program's own stream code, so that what is tested is not
// also what tests. And the little HTTP that both ends need, written for trusted text of our own and for checking the program's.

#include "entrepot/io/await.h"

#include "network.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::sim {

/// The address of an IPv4 literal.
Name address_of(std::string_view ip, std::uint16_t port);

class Wire {
  public:
    explicit Wire(int fd) : fd_(fd) {}
    ~Wire() { ASSERT(fd_ < 0); }
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Null when it could not be made until the deadline.
    static Task<std::unique_ptr<Wire>> connect(Name to, Instant deadline);

    Task<bool> send(std::string_view bytes, Instant deadline);
    /// Appends what arrives next to `buffer`; false at the end of the connection, whatever ended it.
    Task<bool> fill(Instant deadline, std::size_t bytes_max = 16 * KiB);
    /// Takes the text up to and including `mark`; nothing when the connection ended before.
    Task<std::optional<std::string>> take_until(std::string_view mark, Instant deadline);
    void shut_sending() { Loop::current().ring().shutdown(fd_, SHUT_WR); }
    void close(bool reset = false);
    bool is_open() const { return fd_ >= 0; }

    std::string buffer;           ///< received and not taken yet
    std::int32_t end_result = 1;  ///< what fill() ended with: 0 in order, else -errno
    bool timed_out() const { return end_result == -ETIMEDOUT; }

  private:
    int fd_;
};

/// A listening socket on this loop; the task calls `serve` for each connection until `stop`.
class Server {
  public:
    using Serve = Task<void> (*)(void* context, std::unique_ptr<Wire> wire);
    Server(Name at, Serve serve, void* context);
    void stop();
    /// Waits for the accept and for every connection.
    Task<void> close();

  private:
    struct Accepting : Operation {
        explicit Accepting(Server& owner) : Operation(&Accepting::on_completed), server(owner) {}
        static void on_completed(Operation& operation, std::int32_t result, std::uint32_t flags, bool more) noexcept;
        Server& server;
    };
    void accept();
    int fd_;
    Serve serve_;
    void* context_;
    Accepting accepting_;
    TaskGroup connections_;
    Condition ended_;
    bool stopping_ = false;
};

/// A head's first line and fields, names in lower case.
struct Head {
    std::string first_line;
    std::multimap<std::string, std::string> fields;

    static std::optional<Head> parse(std::string_view text);
    std::string field(const std::string& name) const;
    bool has(const std::string& name) const { return fields.contains(name); }
    /// Of a status line, else 0.
    int status() const;
};

}  // namespace entrepot::sim
