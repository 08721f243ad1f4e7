// sendfile_ceiling: the least that a server can do, as the physical ceiling beside hot rows.
//
// One thread, one file, one answer: whatever is asked, the same head and the file follow. No parsing beyond the blank line, no
// look-up, no timeouts, no log. A file of up to 32 KiB leaves in one send() together with its head; a larger one by sendfile(),
// 2 MiB at a time, and then the next connection has its turn (a tenth less CPU than one connection until its socket is full).
// What a real server needs more CPU than this for is the price of being one.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t request_bytes_max = 4096;
constexpr std::size_t whole_bytes_max = 32 << 10;  // a file up to this leaves together with its head
constexpr std::size_t descriptors_max = 1 << 20;
constexpr std::size_t slice_bytes_max = 2 << 20;  // of one sendfile(): more in flight is more than the caches hold
constexpr int backlog = 4096;

volatile std::sig_atomic_t stop_requested = 0;

[[noreturn]] void stop_with(const char* what) {
    std::fprintf(stderr, "sendfile_ceiling: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

// What a connection still has to send. Requests are not pipelined: one is answered before the next is read.
struct Connection {
    std::size_t head_sent = 0;
    off_t file_sent = 0;
    bool answering = false;
    bool close_after = false;
    bool ready = false;  // waits for its turn
};

class Server {
  public:
    Server(const char* path, std::uint16_t port) {
        open_file(path);
        listen_on(port);
    }

    void run() {
        std::vector<epoll_event> events(512);
        while (!stop_requested) {
            const int patience = ready_.empty() ? 200 : 0;
            const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), patience);
            for (int index = 0; index < count; ++index) {
                const int fd = events[static_cast<std::size_t>(index)].data.fd;
                if (fd == listener_) accept_all();
                else become_ready(fd);
            }
            taking_turns_.swap(ready_);
            for (const int fd : taking_turns_) {
                connections_[static_cast<std::size_t>(fd)].ready = false;
                turn(fd);
            }
            taking_turns_.clear();
        }
    }

  private:
    void open_file(const char* path) {
        file_ = open(path, O_RDONLY | O_CLOEXEC);
        struct stat info {};
        if (file_ < 0 || fstat(file_, &info) != 0) stop_with(path);
        size_ = info.st_size;
        answer_ =
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " + std::to_string(size_) + "\r\n\r\n";
        if (static_cast<std::size_t>(size_) > whole_bytes_max) return;
        const auto head = answer_.size();
        answer_.resize(head + static_cast<std::size_t>(size_));
        if (pread(file_, answer_.data() + head, static_cast<std::size_t>(size_), 0) != size_) stop_with("read");
        size_ = 0;  // nothing is left for sendfile
    }

    void listen_on(std::uint16_t port) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) stop_with("bind");
        if (listen(listener_, backlog) != 0) stop_with("listen");
        poll_ = epoll_create1(EPOLL_CLOEXEC);
        watch(listener_, EPOLLIN);
    }

    void watch(int fd, std::uint32_t what) {
        epoll_event event{};
        event.events = what;
        event.data.fd = fd;
        if (epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) != 0) stop_with("epoll_ctl");
    }

    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            if (static_cast<std::size_t>(fd) >= descriptors_max) {
                close(fd);
                continue;
            }
            if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
            connections_[static_cast<std::size_t>(fd)] = {};
            watch(fd, EPOLLIN | EPOLLOUT | EPOLLET);  // once for its whole life: no further epoll_ctl
        }
    }

    void become_ready(int fd) {
        auto& connection = connections_[static_cast<std::size_t>(fd)];
        if (connection.ready) return;
        connection.ready = true;
        ready_.push_back(fd);
    }

    // Goes on with an answer, then takes the next request, until the socket has had enough or a slice has left.
    void turn(int fd) {
        auto& connection = connections_[static_cast<std::size_t>(fd)];
        for (;;) {
            if (connection.answering && !send_answer(fd, connection)) return;
            if (!read_request(fd, connection)) return;
        }
    }

    // True: a whole request is here.
    bool read_request(int fd, Connection& connection) {
        char bytes[request_bytes_max];
        const auto got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
        const std::string_view request(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
        if (request.size() < 4 || request.substr(request.size() - 4) != "\r\n\r\n") {
            close(fd);  // gone, or no client of ours: ours send a head in one piece
            return false;
        }
        connection.head_sent = 0;
        connection.file_sent = 0;
        connection.answering = true;
        connection.close_after = request.find("Connection: close") != std::string_view::npos;
        return true;
    }

    // True: all is sent and the connection stays. False: it goes on when its turn has come.
    bool send_answer(int fd, Connection& connection) {
        // An answer whose connection ends waits for the FIN, so that both leave as one segment.
        const int flags = MSG_NOSIGNAL | (size_ > 0 || connection.close_after ? MSG_MORE : 0);
        while (connection.head_sent < answer_.size()) {
            const auto sent = send(fd, answer_.data() + connection.head_sent, answer_.size() - connection.head_sent, flags);
            if (sent < 0) return wait_or_close(fd);
            connection.head_sent += static_cast<std::size_t>(sent);
        }
        if (connection.file_sent < size_) {
            const auto sent = sendfile(fd, file_, &connection.file_sent,
                                       std::min(slice_bytes_max, static_cast<std::size_t>(size_ - connection.file_sent)));
            if (sent <= 0) return wait_or_close(fd);
            if (connection.file_sent < size_) {
                become_ready(fd);
                return false;
            }
        }
        connection.answering = false;
        if (connection.close_after) close(fd);
        return !connection.close_after;
    }

    static bool wait_or_close(int fd) {
        if (errno != EAGAIN && errno != EINTR) close(fd);
        return false;
    }

    int file_ = -1, listener_ = -1, poll_ = -1;
    off_t size_ = 0;
    std::string answer_;
    std::vector<Connection> connections_;
    std::vector<int> ready_, taking_turns_;
};

}  // namespace

int main(int count, char** words) {
    const int port = count == 3 ? std::atoi(words[2]) : 0;
    if (port <= 0 || port > 65535) {
        std::fprintf(stderr, "usage: sendfile_ceiling FILE PORT     (on 127.0.0.1; ends with SIGTERM)\n");
        return 2;
    }
    std::signal(SIGPIPE, SIG_IGN);
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop_requested = 1; });
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    Server(words[1], static_cast<std::uint16_t>(port)).run();
    return 0;
}
