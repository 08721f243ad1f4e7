// rate_upstream: a registry that delivers at a chosen rate per connection, and counts what it was asked for.
//
// It plays the upstream of a benchmark: a distant registry that gives each connection so many bytes a second, whatever the
// machine could do. Bodies leave with sendfile, so that it takes little of the core it shares with the clients. It serves
// an OCI image layout: ROOT/blobs/sha256/HEX, and ROOT/tags/REPOSITORY/TAG with a digest in it. One thread, loopback only.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace entrepot::bench {
namespace {

constexpr std::size_t head_bytes_max = 16 << 10;
constexpr std::size_t manifest_bytes_max = 64 << 10;
constexpr std::size_t connections_max = 16 << 10;
constexpr std::size_t counted_paths_max = 64 << 10;  // further paths are counted together
constexpr std::uint64_t tick_ns = 2'000'000;         // a limited body moves at most 500 times a second
constexpr std::uint64_t slice_bytes_min = 16 << 10;  // and in slices no smaller than this
constexpr std::uint64_t slice_bytes_max = 1 << 20;
constexpr std::uint64_t burst_ticks_max = 10;  // what a stalled receiver may catch up at once

volatile std::sig_atomic_t stop_requested = 0;
volatile std::sig_atomic_t stats_requested = 0;

std::uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

struct Options {
    std::string root;
    std::uint16_t port = 0;
    std::uint64_t rate = 0;              // bytes a second and connection; 0: no limit
    std::uint64_t line_rate = 0;         // bytes a second of all connections together; 0: no limit
    std::uint64_t delay_ns = 0;          // before each answer
    std::uint64_t connect_delay_ns = 0;  // before the first request of a connection counts as sent: its handshakes
    double stop_after = 3600;

    bool paced() const { return rate > 0 || line_rate > 0; }
};

// ---- what was asked for

struct PathCount {
    std::uint64_t gets = 0, heads = 0, ranges = 0, bytes = 0;
};

class Stats {
  public:
    PathCount& of(const std::string& path) {
        const auto found = paths_.find(path);
        if (found != paths_.end()) return found->second;
        return paths_[paths_.size() < counted_paths_max ? path : "(other)"];
    }
    void connection() { connections_++; }
    std::string json() const {
        PathCount sum;
        std::string text = "{\"paths\":{";
        for (const auto& [path, count] : paths_) {
            if (text.back() == '}') text += ',';
            text += '"' + path + "\":" + json(count);
            sum.gets += count.gets, sum.heads += count.heads, sum.ranges += count.ranges, sum.bytes += count.bytes;
        }
        return text + "},\"total\":" + json(sum) + ",\"connections\":" + std::to_string(connections_) + "}\n";
    }

  private:
    static std::string json(const PathCount& count) {
        return "{\"gets\":" + std::to_string(count.gets) + ",\"heads\":" + std::to_string(count.heads) +
               ",\"ranges\":" + std::to_string(count.ranges) + ",\"bytes\":" + std::to_string(count.bytes) + '}';
    }
    std::map<std::string, PathCount> paths_;
    std::uint64_t connections_ = 0;
};

// ---- what is asked for

struct Request {
    std::string method, path;
    std::optional<std::uint64_t> range_first, range_last;
    bool close = false;
};

std::optional<std::uint64_t> number_in(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

void take_field(Request& request, std::string_view name, std::string_view value) {
    const auto is = [&](std::string_view other) {
        return name.size() == other.size() && strncasecmp(name.data(), other.data(), name.size()) == 0;
    };
    if (is("connection")) request.close = value == "close";
    if (!is("range") || value.substr(0, 6) != "bytes=") return;
    const auto dash = value.find('-');
    if (dash == std::string_view::npos) return;
    request.range_first =
        number_in(value.substr(6, dash - 6));  // a suffix range is answered with the whole blob, as RFC 9110 allows
    request.range_last = number_in(value.substr(dash + 1));
}

std::optional<Request> parse(std::string_view head) {
    Request request;
    const auto line_end = head.find("\r\n");
    const auto line = head.substr(0, line_end);
    const auto first = line.find(' ');
    const auto second = line.rfind(' ');
    if (first == std::string_view::npos || second == first) return std::nullopt;
    request.method = line.substr(0, first);
    request.path = line.substr(first + 1, second - first - 1);
    if (request.path.find_first_of("\"\\") != std::string::npos || request.path.find("..") != std::string::npos)
        return std::nullopt;
    request.path = request.path.substr(0, request.path.find('?'));
    for (auto at = line_end; at + 2 < head.size();) {
        const auto end = std::min(head.find("\r\n", at + 2), head.size());
        const auto field = head.substr(at + 2, end - at - 2);
        const auto colon = field.find(':');
        if (colon != std::string_view::npos) {
            auto value = field.substr(colon + 1);
            value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
            take_field(request, field.substr(0, colon), value);
        }
        at = end;
    }
    return request;
}

// ---- what is answered

struct File {
    int fd = -1;
    std::uint64_t size = 0;
    std::string digest;
    std::string media_type = "application/octet-stream";

    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd >= 0) close(fd);
    }
};

bool is_digest(std::string_view text) {
    constexpr std::string_view algorithm = "sha256:";
    return text.size() == algorithm.size() + 64 && text.substr(0, algorithm.size()) == algorithm &&
           text.find_first_not_of("0123456789abcdef", algorithm.size()) == std::string_view::npos;
}

// Manifests say what they are in the "mediaType" of the outermost object. It may stand anywhere: some tools sort their keys, so that the
// descriptors inside come first.
std::string media_type_in(int fd) {
    std::string text(manifest_bytes_max, '\0');
    const auto got = pread(fd, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    constexpr std::string_view key = "\"mediaType\":\"";
    int depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!in_string && depth == 1 && text.compare(at, key.size(), key) == 0)
            return text.substr(at + key.size(), text.find('"', at + key.size()) - at - key.size());
        if (in_string && text[at] == '\\') ++at;
        else if (text[at] == '"') in_string = !in_string;
        else if (!in_string) depth += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
    }
    return "application/octet-stream";
}

class Layout {
  public:
    explicit Layout(std::string root) : root_(std::move(root)) {}

    /// /v2/REPOSITORY/(blobs|manifests)/REFERENCE; null when there is no such thing.
    std::shared_ptr<File> open_path(std::string_view path) const {
        if (path.substr(0, 4) != "/v2/") return nullptr;
        const auto last = path.rfind('/');
        const auto kind = path.rfind('/', last - 1);
        if (kind < 4 || kind == std::string_view::npos) return nullptr;
        const auto name = path.substr(kind + 1, last - kind - 1);
        const auto repository = path.substr(4, kind - 4);
        std::string reference(path.substr(last + 1));
        const bool manifest = name == "manifests";
        if (!manifest && name != "blobs") return nullptr;
        if (manifest && !is_digest(reference)) reference = digest_of_tag(repository, reference);
        return is_digest(reference) ? open_digest(reference, manifest) : nullptr;
    }

  private:
    std::string digest_of_tag(std::string_view repository, const std::string& tag) const {
        std::ifstream file(root_ + "/tags/" + std::string(repository) + '/' + tag);
        std::string digest;
        file >> digest;
        return digest;
    }

    std::shared_ptr<File> open_digest(const std::string& digest, bool manifest) const {
        auto file = std::make_shared<File>();
        file->fd = open((root_ + "/blobs/sha256/" + digest.substr(7)).c_str(), O_RDONLY | O_CLOEXEC);
        struct stat info {};
        if (file->fd < 0 || fstat(file->fd, &info) != 0) return nullptr;
        file->size = static_cast<std::uint64_t>(info.st_size);
        file->digest = digest;
        if (manifest) file->media_type = media_type_in(file->fd);
        return file;
    }

    std::string root_;
};

struct Connection {
    int fd = -1;
    std::string input;
    std::string output;          // the head of the answer, and small bodies
    std::shared_ptr<File> file;  // the body, from `at` to `end`
    std::uint64_t at = 0, end = 0;
    std::uint64_t allowance = 0;  // bytes that may leave now; unused without a rate
    std::uint64_t allowance_at = 0;
    std::uint64_t connected_at = 0;
    std::uint64_t answer_not_before = 0;
    std::string counted_path;
    bool close_after = false;

    bool answering() const { return !output.empty() || file; }
};

class Server {
  public:
    explicit Server(Options options) : options_(std::move(options)), layout_(options_.root) {
        listen_on_loopback();
        epoll_ = epoll_create1(EPOLL_CLOEXEC);
        timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
        watch(EPOLL_CTL_ADD, timer_, EPOLLIN);
    }

    void run() {
        std::printf("{\"port\":%u,\"rate\":%llu}\n", port_, static_cast<unsigned long long>(options_.rate));
        std::fflush(stdout);
        const auto end = now() + static_cast<std::uint64_t>(options_.stop_after * 1e9);
        std::vector<epoll_event> events(256);
        while (!stop_requested && now() < end) {
            const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 200);
            for (int index = 0; index < count; ++index) handle(events[static_cast<std::size_t>(index)]);
            if (stats_requested) {
                stats_requested = 0;
                print_stats();
            }
        }
        print_stats();
    }

  private:
    void listen_on_loopback() {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 4096) != 0) {
            std::fprintf(stderr, "rate_upstream: cannot listen on port %u: %s\n", options_.port, std::strerror(errno));
            std::exit(1);
        }
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }

    void watch(int operation, int fd, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        epoll_ctl(epoll_, operation, fd, &event);
    }

    void handle(const epoll_event& event) {
        if (event.data.fd == listener_) return accept_all();
        if (event.data.fd == timer_) return tick();
        const auto found = connections_.find(event.data.fd);
        if (found == connections_.end()) return;
        auto& connection = *found->second;
        if (event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) return drop(connection);
        if (event.events & EPOLLIN) return read(connection);
        if (event.events & EPOLLOUT) write(connection);
    }

    void accept_all() {
        for (;;) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            if (connections_.size() >= connections_max) {
                close(fd);
                continue;
            }
            const int on = 1;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            stats_.connection();
            auto connection = std::make_unique<Connection>();
            connection->fd = fd;
            connection->connected_at = now() + options_.connect_delay_ns;
            connections_[fd] = std::move(connection);
            watch(EPOLL_CTL_ADD, fd, EPOLLIN);
        }
    }

    void drop(Connection& connection) {
        limited_.erase(&connection);
        close(connection.fd);
        connections_.erase(connection.fd);  // ends `connection`
    }

    void read(Connection& connection) {
        char bytes[4096];
        const auto got = recv(connection.fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0 || connection.input.size() + static_cast<std::size_t>(got) > head_bytes_max) return drop(connection);
        connection.input.append(bytes, static_cast<std::size_t>(got));
        if (connection.input[0] < 'A' || connection.input[0] > 'Z')
            return drop(connection);  // a TLS hello: clients try that first
        if (!connection.answering()) next_request(connection);
    }

    // Starts the answer to the next whole request head, if there is one.
    void next_request(Connection& connection) {
        const auto end = connection.input.find("\r\n\r\n");
        if (end == std::string::npos) return watch(EPOLL_CTL_MOD, connection.fd, EPOLLIN);
        const auto request = parse(std::string_view(connection.input).substr(0, end));
        connection.input.erase(0, end + 4);
        if (!request) return drop(connection);
        answer(connection, *request);
        connection.allowance = slice_bytes_min;
        connection.allowance_at = now();
        connection.answer_not_before = std::max(connection.allowance_at, connection.connected_at) + options_.delay_ns;
        bool at_once = connection.answer_not_before <= connection.allowance_at;
        if (at_once && !options_.paced()) return write(connection);
        watch(EPOLL_CTL_MOD, connection.fd, EPOLLRDHUP);  // only the timer moves it; a vanished client still wakes us
        limited_.insert(&connection);
        if (limited_.size() == 1) start_ticking();
        if (at_once && options_.line_rate == 0) write(connection);
    }

    void answer(Connection& connection, const Request& request) {
        connection.close_after = request.close;
        if (request.path == "/stats") return answer_text(connection, "200 OK", stats_.json());
        if (request.path == "/v2/" || request.path == "/v2") return answer_text(connection, "200 OK", "{}");
        auto file = layout_.open_path(request.path);
        auto& count = stats_.of(request.path);
        request.method == "HEAD" ? count.heads++ : count.gets++;
        if (!file)
            return answer_text(connection, "404 Not Found", R"({"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]})");
        connection.counted_path = request.path;
        if (request.range_first) count.ranges++;
        answer_file(connection, request, std::move(file));
    }

    static void answer_text(Connection& connection, const char* status, const std::string& text) {
        auto& head = connection.output;
        head = std::string("HTTP/1.1 ") + status +
               "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(text.size());
        head += "\r\nDocker-Distribution-Api-Version: registry/2.0";
        head += connection.close_after ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n";
        head += text;
    }

    static void answer_file(Connection& connection, const Request& request, std::shared_ptr<File> file) {
        const bool part = request.range_first.has_value();
        connection.at = part ? *request.range_first : 0;
        connection.end = part && request.range_last ? std::min(*request.range_last + 1, file->size) : file->size;
        if (connection.at >= connection.end && file->size > 0) {
            connection.output = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */" + std::to_string(file->size);
            connection.output += "\r\nContent-Length: 0\r\n\r\n";
            return;
        }
        auto& head = connection.output;
        head = part ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
        head += "Content-Type: " + file->media_type + "\r\nContent-Length: " + std::to_string(connection.end - connection.at);
        head += "\r\nDocker-Content-Digest: " + file->digest + "\r\nETag: \"" + file->digest + "\"\r\nAccept-Ranges: bytes";
        const auto last = std::to_string(connection.end - 1);
        if (part)
            head += "\r\nContent-Range: bytes " + std::to_string(connection.at) + '-' + last + '/' + std::to_string(file->size);
        head += connection.close_after ? "\r\nConnection: close\r\n\r\n"
                                       : "\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n";
        if (request.method != "HEAD" && connection.at < connection.end) connection.file = std::move(file);
    }

    // Sends what may leave now; when the answer is over, turns to the next request. May end `connection`.
    void write(Connection& connection) {
        if (!send_output(connection)) return;
        if (connection.file && !send_file(connection)) return;
        limited_.erase(&connection);
        if (limited_.empty()) set_timer(0);
        if (connection.close_after) return drop(connection);
        next_request(connection);
    }

    // These two: true when nothing is left to send. On an error the connection is gone and the answer is false.
    bool send_output(Connection& connection) {
        while (!connection.output.empty()) {
            const int flags = MSG_NOSIGNAL | (connection.file ? MSG_MORE : 0);
            const auto sent = send(connection.fd, connection.output.data(), connection.output.size(), flags);
            if (sent < 0) return wait_or_drop(connection);
            connection.output.erase(0, static_cast<std::size_t>(sent));
        }
        return true;
    }

    bool send_file(Connection& connection) {
        auto& count = stats_.of(connection.counted_path);
        while (connection.at < connection.end) {
            const auto left = connection.end - connection.at;
            const auto slice = std::min({left, slice_bytes_max, options_.paced() ? connection.allowance : left});
            if (slice < std::min(slice_bytes_min, left)) return false;  // the timer goes on
            auto offset = static_cast<off_t>(connection.at);
            const auto sent = sendfile(connection.fd, connection.file->fd, &offset, slice);
            if (sent <= 0) return wait_or_drop(connection, sent == 0);
            connection.at += static_cast<std::uint64_t>(sent);
            connection.allowance -= std::min(connection.allowance, static_cast<std::uint64_t>(sent));
            line_allowance_ -= std::min(line_allowance_, static_cast<std::uint64_t>(sent));
            count.bytes += static_cast<std::uint64_t>(sent);
        }
        connection.file.reset();
        return true;
    }

    bool wait_or_drop(Connection& connection, bool hopeless = false) {
        if (hopeless || errno != EAGAIN) drop(connection);
        else if (!options_.paced()) watch(EPOLL_CTL_MOD, connection.fd, EPOLLOUT);
        return false;
    }

    void set_timer(std::uint64_t interval) {
        const timespec time{0, static_cast<long>(interval)};
        const itimerspec setting{time, time};
        timerfd_settime(timer_, 0, &setting, nullptr);
    }

    void tick() {
        std::uint64_t expirations = 0;
        if (::read(timer_, &expirations, sizeof expirations) < 0) return;
        std::vector<Connection*> turn(limited_.begin(), limited_.end());  // write() takes connections out
        if (turn.empty()) return;
        std::rotate(turn.begin(), turn.begin() + static_cast<std::ptrdiff_t>(ticks_++ % turn.size()), turn.end());
        refill_line();
        for (auto* connection : turn) {
            const auto time = now();
            if (time < connection->answer_not_before) {
                connection->allowance_at = time;
                continue;
            }
            refill(*connection, time);
            if (options_.line_rate > 0 && !share_line(*connection, turn.size())) continue;
            write(*connection);
        }
    }

    void refill(Connection& connection, std::uint64_t time) const {
        const auto burst = std::max(2 * slice_bytes_min, options_.rate * tick_ns * burst_ticks_max / 1'000'000'000U);
        const auto elapsed = static_cast<double>(time - connection.allowance_at) * 1e-9;
        const auto earned = static_cast<std::uint64_t>(elapsed * static_cast<double>(options_.rate));
        connection.allowance = options_.rate == 0 ? slice_bytes_max : std::min(connection.allowance + earned, burst);
        connection.allowance_at = time;
    }

    void start_ticking() {
        line_refilled_at_ = now();
        set_timer(tick_ns);
    }

    void refill_line() {
        if (options_.line_rate == 0) return;
        const auto time = now();
        const auto earned = static_cast<double>(time - line_refilled_at_) * 1e-9 * static_cast<double>(options_.line_rate);
        const auto burst = std::max(2 * slice_bytes_min, options_.line_rate * tick_ns * burst_ticks_max / 1'000'000'000U);
        line_allowance_ = std::min(line_allowance_ + static_cast<std::uint64_t>(earned), burst);
        line_refilled_at_ = time;
    }

    // At most this connection's part of the line, in whole slices; false when the line has nothing left in this tick.
    bool share_line(Connection& connection, std::size_t sharers) const {
        if (line_allowance_ < slice_bytes_min) return false;
        const auto share = std::max<std::uint64_t>(slice_bytes_min, line_allowance_ / sharers);
        connection.allowance = std::min(connection.allowance, share);
        return true;
    }

    void print_stats() const {
        std::fputs(stats_.json().c_str(), stdout);
        std::fflush(stdout);
    }

    Options options_;
    Layout layout_;
    Stats stats_;
    int listener_ = -1, epoll_ = -1, timer_ = -1;
    unsigned port_ = 0;
    std::uint64_t line_allowance_ = 0, line_refilled_at_ = 0, ticks_ = 0;
    std::unordered_map<int, std::unique_ptr<Connection>> connections_;
    std::unordered_set<Connection*> limited_;
};

constexpr const char* usage =
    "Usage: rate_upstream --root DIR [--port N] [--rate BYTES_PER_SECOND] [--line-rate BYTES_PER_SECOND]\n"
    "                     [--delay-ms N] [--connect-delay-ms N] [--stop-after SECONDS]\n"
    "  DIR/blobs/sha256/HEX and DIR/tags/REPOSITORY/TAG (holding a digest) are served under /v2/ on 127.0.0.1.\n"
    "  The rate is per connection, the line's is shared by all; 0 means as fast as it goes. Answers come after the delay, the\n"
    "  first of a connection after both. Prints its port, and at the end (or on SIGUSR1, or at /stats) what was asked for, as\n"
    "  JSON.\n"
    "Example: rate_upstream --root corpus --rate 50000000\n";

[[noreturn]] void wrong_usage(const char* why) {
    std::fprintf(stderr, "rate_upstream: %s\n%s", why, usage);
    std::exit(2);
}

Options parse_command_line(int count, char** words) {
    Options options;
    for (int at = 1; at < count; at += 2) {
        const std::string_view name = words[at];
        if (name == "--help") std::fputs(usage, stdout), std::exit(0);
        if (at + 1 >= count) wrong_usage("an option lacks its value");
        const char* value = words[at + 1];
        if (name == "--root") options.root = value;
        else if (name == "--port") options.port = static_cast<std::uint16_t>(std::atoi(value));
        else if (name == "--rate") options.rate = std::strtoull(value, nullptr, 10);
        else if (name == "--line-rate") options.line_rate = std::strtoull(value, nullptr, 10);
        else if (name == "--connect-delay-ms") options.connect_delay_ns = std::strtoull(value, nullptr, 10) * 1'000'000U;
        else if (name == "--delay-ms") options.delay_ns = std::strtoull(value, nullptr, 10) * 1'000'000U;
        else if (name == "--stop-after") options.stop_after = std::atof(value);
        else wrong_usage("unknown option");
    }
    if (options.root.empty()) wrong_usage("--root is needed");
    return options;
}

void prepare_process() {
    std::signal(SIGPIPE, SIG_IGN);
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stop_requested = 1; });
    std::signal(SIGUSR1, [](int) { stats_requested = 1; });
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace
}  // namespace entrepot::bench

int main(int count, char** words) {
    auto options = entrepot::bench::parse_command_line(count, words);
    entrepot::bench::prepare_process();
    entrepot::bench::Server(std::move(options)).run();
    return 0;
}
