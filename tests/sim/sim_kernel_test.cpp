// What the program may expect from a kernel, as small programs that run on the real ring and on the simulated one (see kernel_host.h).

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "kernel_host.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <string>
#include <vector>

namespace entrepot::sim {
namespace {

Ring& ring() { return Loop::current().ring(); }

Instant soon() { return Loop::current().time() + seconds(10); }

std::string pattern(std::size_t length) {
    std::string text(length, '\0');
    for (std::size_t i = 0; i < length; ++i) text[i] = static_cast<char>('a' + (i * 31 + i / 251) % 26);
    return text;
}

Task<bool> write_all(int file, std::string_view text, std::uint64_t offset = 0) {
    while (!text.empty()) {
        auto written = co_await write_file(file, bytes_of(text), offset);
        if (written <= 0) co_return false;
        text.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    co_return true;
}

Task<std::string> read_all(int file) {
    std::string text;
    std::string part(3000, '\0');
    while (true) {
        MutableBytes into(reinterpret_cast<std::byte*>(part.data()), part.size());
        auto got = co_await read_file(file, into, text.size());
        if (got <= 0) co_return text;
        text.append(part, 0, static_cast<std::size_t>(got));
    }
}

Task<int> create(int directory, const char* path, std::string text = {}) {
    int file = co_await open_file(directory, path, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (file < 0) co_return file;
    bool written = co_await write_all(file, text);
    CHECK(written);
    co_return file;
}

Task<void> short_read_at_the_end(KernelHost& host) {
    int root = host.root();
    int file = co_await create(root, "f", pattern(10'000));
    auto text = co_await read_all(file);
    CHECK(text == pattern(10'000));
    std::string part(4096, '\0');
    MutableBytes into(reinterpret_cast<std::byte*>(part.data()), part.size());
    auto tail = co_await read_file(file, into, 9'999);
    CHECK(tail == 1);
    auto end = co_await read_file(file, into, 10'000);
    CHECK(end == 0);
    auto beyond = co_await read_file(file, into, 1'000'000);
    CHECK(beyond == 0);
    struct ::stat status {};
    CHECK(ring().status(file, status) == 0);
    CHECK(status.st_size == 10'000);
    ring().close(file);
    ring().close(root);
}

Task<void> holes_and_allocation_read_as_zeros(KernelHost& host) {
    int root = host.root();
    int file = co_await create(root, "f");
    auto allocated = co_await allocate_file(file, 20'000);
    CHECK(allocated == 0);
    struct ::stat status {};
    CHECK(ring().status(file, status) == 0);
    CHECK(status.st_size == 20'000);
    bool written = co_await write_all(file, "x", 29'999);
    CHECK(written);
    auto text = co_await read_all(file);
    CHECK(text == std::string(29'999, '\0') + "x");
    auto synced = co_await data_sync(file);
    CHECK(synced == 0);
    ring().close(file);
    ring().close(root);
}

Task<void> opening_stays_beneath(KernelHost& host) {
    int root = host.root();
    auto made = co_await make_directory(root, "d", 0700);
    CHECK(made == 0);
    auto again = co_await make_directory(root, "d", 0700);
    CHECK(again == -EEXIST);
    auto orphan = co_await make_directory(root, "none/d", 0700);
    CHECK(orphan == -ENOENT);
    int file = co_await create(root, "d/f");
    int twice = co_await open_file(root, "d/f", O_CREAT | O_EXCL | O_RDWR, 0600);
    CHECK(twice == -EEXIST);
    struct Case {
        const char* path;
        std::uint32_t flags;
        int expected;
    };
    constexpr Case cases[] = {{"missing", O_RDONLY, -ENOENT}, {"missing/f", O_RDONLY, -ENOENT}, {"d/f/x", O_RDONLY, -ENOTDIR},
                              {"d/f", O_DIRECTORY, -ENOTDIR}, {"d", O_RDWR, -EISDIR},           {"/etc/passwd", O_RDONLY, -EXDEV},
                              {"../x", O_RDONLY, -EXDEV}};
    for (const auto& one : cases) {
        CAPTURE(one.path);
        int result = co_await open_file(root, one.path, one.flags);
        CHECK(result == one.expected);
    }
    int directory = co_await open_file(root, "d", O_DIRECTORY | O_RDONLY);
    CHECK(directory >= 0);
    int same = co_await open_file(directory, "f", O_RDONLY);
    CHECK(same >= 0);
    auto synced = co_await sync_file(directory);
    CHECK(synced == 0);
    auto removed = co_await unlink_file(root, "d");
    CHECK(removed == -EISDIR);
    for (int fd : {same, directory, file, root}) ring().close(fd);
}

Task<void> rename_may_refuse_to_replace(KernelHost& host) {
    int root = host.root();
    int first = co_await create(root, "a", "first");
    int second = co_await create(root, "b", "second");
    auto refused = co_await rename_file(root, "a", root, "b", RENAME_NOREPLACE);
    CHECK(refused == -EEXIST);
    auto missing = co_await rename_file(root, "none", root, "c", RENAME_NOREPLACE);
    CHECK(missing == -ENOENT);
    auto moved = co_await rename_file(root, "a", root, "c", RENAME_NOREPLACE);
    CHECK(moved == 0);
    auto replaced = co_await rename_file(root, "c", root, "b", 0);
    CHECK(replaced == 0);
    int opened = co_await open_file(root, "b", O_RDONLY);
    auto text = co_await read_all(opened);
    CHECK(text == "first");
    text = co_await read_all(second);
    CHECK(text == "second");
    for (int fd : {first, second, opened, root}) ring().close(fd);
}

Task<void> unlinked_files_live_while_open(KernelHost& host) {
    int root = host.root();
    int file = co_await create(root, "f", "alive");
    auto removed = co_await unlink_file(root, "f");
    CHECK(removed == 0);
    auto twice = co_await unlink_file(root, "f");
    CHECK(twice == -ENOENT);
    int opened = co_await open_file(root, "f", O_RDONLY);
    CHECK(opened == -ENOENT);
    auto text = co_await read_all(file);
    CHECK(text == "alive");
    struct ::stat status {};
    CHECK(ring().status(file, status) == 0);
    CHECK(status.st_nlink == 0);
    ring().close(file);
    ring().close(root);
}

Task<void> access_modes_hold(KernelHost& host) {
    int root = host.root();
    int file = co_await create(root, "f", "text");
    int reader = co_await open_file(root, "f", O_RDONLY);
    auto refused = co_await write_file(reader, bytes_of("x"), 0);
    CHECK(refused == -EBADF);
    int writer = co_await open_file(root, "f", O_WRONLY);
    std::byte one{};
    MutableBytes into(&one, 1);
    auto unread = co_await read_file(writer, into, 0);
    CHECK(unread == -EBADF);
    for (int fd : {file, reader, writer, root}) ring().close(fd);
}

Task<void> direct_requests_are_aligned(KernelHost& host) {
    int root = host.root();
    int file = co_await create(root, "f", pattern(8192));
    int direct = co_await open_file(root, "f", O_RDONLY | O_DIRECT);
    REQUIRE(direct >= 0);
    alignas(4096) static std::byte memory[8192];
    auto whole = co_await read_file(direct, MutableBytes(memory, 4096), 4096);
    CHECK(whole > 0);
    CHECK(text_of(Bytes(memory, static_cast<std::size_t>(whole))) ==
          std::string_view(pattern(8192)).substr(4096, static_cast<std::size_t>(whole)));
    auto odd_place = co_await read_file(direct, MutableBytes(memory, 4096), 100);
    CHECK(odd_place == -EINVAL);
    auto odd_memory = co_await read_file(direct, MutableBytes(memory + 1, 4096), 0);
    CHECK(odd_memory == -EINVAL);
    for (int fd : {file, direct, root}) ring().close(fd);
}

Task<void> a_full_disk_says_so(KernelHost& host) {
    int root = host.small_root();
    if (root < 0) {
        MESSAGE("not root: no small file system to fill");
        co_return;
    }
    int file = co_await create(root, "f");
    auto too_much = co_await allocate_file(file, MiB);
    CHECK(too_much == -ENOSPC);
    auto text = pattern(16 * KiB);
    std::uint64_t offset = 0;
    std::int32_t result = 1;
    while (result > 0 && offset < MiB) {
        result = co_await write_file(file, bytes_of(text), offset);
        if (result > 0) offset += static_cast<std::uint64_t>(result);
    }
    CHECK(result == -ENOSPC);
    CHECK(offset >= 32 * KiB);
    CHECK(offset <= 64 * KiB);
    auto removed = co_await unlink_file(root, "f");
    CHECK(removed == 0);
    ring().close(file);
    // The space of an unlinked file is free once it is closed.
    int next = co_await create(root, "g");
    auto allocated = co_await allocate_file(next, 32 * KiB);
    CHECK(allocated == 0);
    ring().close(next);
    ring().close(root);
}

/// A multishot request and everything it reported.
class Collector : public Operation {
  public:
    struct Report {
        std::int32_t result;
        std::uint32_t flags;
        bool more;
    };
    Collector(Request::Kind kind, int fd) : Operation(&Collector::on_completed) {
        request_.kind = kind;
        request_.fd = fd;
    }
    void start() { ring().submit(*this, request_); }
    /// The next report that nobody took; starts the request again when it ended with success.
    Task<Report> next() {
        while (reports_.empty()) {
            if (!in_flight()) start();
            co_await reported_.wait();
        }
        auto report = reports_.front();
        reports_.erase(reports_.begin());
        co_return report;
    }
    /// Ends the request and returns what it still reported, the end included.
    Task<std::vector<Report>> end() {
        if (in_flight()) ring().cancel(*this);
        while (in_flight()) co_await reported_.wait();
        co_return std::exchange(reports_, {});
    }

  private:
    static void on_completed(Operation& operation, std::int32_t result, std::uint32_t flags, bool more) noexcept {
        auto& self = static_cast<Collector&>(operation);
        self.reports_.push_back({result, flags, more});
        self.reported_.notify_all();
    }
    Request request_;
    std::vector<Report> reports_;
    Condition reported_;
};

struct Listening {
    int fd = -1;
    sockaddr_in address{};
};

Listening listen_on_loopback() {
    Listening listening;
    listening.fd = ring().socket(AF_INET, SOCK_STREAM);
    listening.address.sin_family = AF_INET;
    listening.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(ring().bind_and_listen(listening.fd, reinterpret_cast<const sockaddr*>(&listening.address), sizeof listening.address,
                                 64) == 0);
    socklen_t length = sizeof listening.address;
    CHECK(ring().local_address(listening.fd, reinterpret_cast<sockaddr*>(&listening.address), &length) == 0);
    CHECK(listening.address.sin_port != 0);
    return listening;
}

Task<int> connect_to(const sockaddr_in& address) {
    int fd = ring().socket(AF_INET, SOCK_STREAM);
    auto deadline = soon();
    auto result = co_await connect_socket(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
    if (result == 0) co_return fd;
    ring().close(fd);
    co_return result;
}

struct Pair {
    int client = -1, server = -1;
};

Task<Pair> connected_pair() {
    auto listening = listen_on_loopback();
    Collector accepting(Request::Kind::accept, listening.fd);
    Pair pair;
    pair.client = co_await connect_to(listening.address);
    CHECK(pair.client >= 0);
    auto report = co_await accepting.next();
    CHECK(report.result >= 0);
    pair.server = report.result;
    co_await accepting.end();
    ring().close(listening.fd);
    co_return pair;
}

Task<bool> send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        auto sent = co_await send_some(fd, bytes_of(text), 0, soon());
        if (sent <= 0) co_return false;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
    co_return true;
}

Task<void> send_whole(int fd, std::string_view text) {
    bool sent = co_await send_all(fd, text);
    CHECK(sent);
}

struct Received {
    std::string text;
    int end = 0;  // 0 or -errno
};

Task<Received> receive_all(int fd) {
    Received received;
    std::string part(5000, '\0');
    while (true) {
        MutableBytes into(reinterpret_cast<std::byte*>(part.data()), part.size());
        auto got = co_await receive_some(fd, into, soon());
        if (got <= 0) {
            received.end = got;
            co_return received;
        }
        received.text.append(part, 0, static_cast<std::size_t>(got));
    }
}

Task<std::string> receive_exactly(int fd, std::size_t length) {
    std::string text(length, '\0');
    std::size_t have = 0;
    while (have < length) {
        MutableBytes into(reinterpret_cast<std::byte*>(text.data()) + have, length - have);
        auto got = co_await receive_some(fd, into, soon());
        if (got <= 0) break;
        have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    co_return text;
}

void set_reset_on_close(int fd) {
    linger setting{.l_onoff = 1, .l_linger = 0};
    CHECK(ring().set_option(fd, SOL_SOCKET, SO_LINGER, &setting, sizeof setting) == 0);
}

Task<void> echo(int fd) {
    std::string part(1000, '\0');
    while (true) {
        MutableBytes into(reinterpret_cast<std::byte*>(part.data()), part.size());
        auto got = co_await receive_some(fd, into, soon());
        if (got <= 0) break;
        bool sent = co_await send_all(fd, std::string_view(part).substr(0, static_cast<std::size_t>(got)));
        if (!sent) break;
    }
    ring().close(fd);
}

Task<void> bytes_come_back_in_order(KernelHost&) {
    auto pair = co_await connected_pair();
    sockaddr_in local{}, peer{};
    socklen_t length = sizeof local;
    CHECK(ring().local_address(pair.client, reinterpret_cast<sockaddr*>(&local), &length) == 0);
    length = sizeof peer;
    CHECK(ring().peer_address(pair.server, reinterpret_cast<sockaddr*>(&peer), &length) == 0);
    CHECK(local.sin_port == peer.sin_port);
    TaskGroup tasks;
    tasks.start(echo(pair.server));
    auto text = pattern(40'000);
    tasks.start(send_whole(pair.client, text));  // while we read: the windows may be smaller than the text
    auto back = co_await receive_exactly(pair.client, text.size());
    bool same = back == text;
    CHECK(same);
    ring().close(pair.client);
    co_await tasks.close();
}

Task<void> dropped_bytes_are_counted_and_gone(KernelHost&) {
    auto pair = co_await connected_pair();
    std::string text(200'000, 'x');
    text += "tail";
    auto sending = send_whole(pair.server, text);  // while we read: the windows may be smaller than the text
    std::uint32_t left = 200'000;
    while (left > 0) {
        int dropped = co_await discard_some(pair.client, left, soon());
        CHECK(dropped > 0);
        if (dropped <= 0) break;
        left -= static_cast<std::uint32_t>(dropped);
    }
    co_await sending;
    ring().close(pair.server);
    auto rest = co_await receive_all(pair.client);
    CHECK(rest.text == "tail");
    int at_end = co_await discard_some(pair.client, 1, soon());
    CHECK(at_end == 0);
    ring().close(pair.client);
}

Task<void> half_closed_connections_answer(KernelHost&) {
    auto pair = co_await connected_pair();
    bool sent = co_await send_all(pair.client, "question");
    CHECK(sent);
    CHECK(ring().shutdown(pair.client, SHUT_WR) == 0);
    auto question = co_await receive_all(pair.server);
    CHECK(question.text == "question");
    CHECK(question.end == 0);
    sent = co_await send_all(pair.server, "answer");
    CHECK(sent);
    ring().close(pair.server);
    auto answer = co_await receive_all(pair.client);
    CHECK(answer.text == "answer");
    CHECK(answer.end == 0);
    auto refused = co_await send_some(pair.client, bytes_of("more"), 0, soon());
    CHECK(refused == -EPIPE);
    ring().close(pair.client);
}

Task<void> an_abort_is_seen_once(KernelHost&) {
    auto pair = co_await connected_pair();
    set_reset_on_close(pair.server);
    ring().close(pair.server);
    auto received = co_await receive_all(pair.client);
    CHECK(received.text.empty());
    CHECK(received.end == -ECONNRESET);
    auto again = co_await receive_all(pair.client);
    CHECK(again.end == 0);
    auto refused = co_await send_some(pair.client, bytes_of("x"), 0, soon());
    CHECK(refused == -EPIPE);
    ring().close(pair.client);
}

Task<void> closing_over_unread_data_resets(KernelHost&) {
    auto pair = co_await connected_pair();
    bool sent = co_await send_all(pair.client, "unread");
    CHECK(sent);
    auto ready = co_await poll_socket(pair.server, POLLIN, soon());
    CHECK((ready & POLLIN) != 0);
    ring().close(pair.server);
    auto received = co_await receive_all(pair.client);
    CHECK(received.end == -ECONNRESET);
    ring().close(pair.client);
}

Task<void> sending_to_a_closed_peer_fails_soon(KernelHost&) {
    auto pair = co_await connected_pair();
    ring().close(pair.server);
    auto end = co_await receive_all(pair.client);
    CHECK(end.end == 0);
    int attempts = 0;
    std::int64_t sent = 1;
    while (sent > 0 && ++attempts < 100) {
        sent = ring().send_now(pair.client, bytes_of("x"), {}, 0);
        co_await Sleep(milliseconds(20));
    }
    // The first reset after an ordered end is reported as a broken pipe.
    CHECK(sent == -EPIPE);
    ring().close(pair.client);
}

Task<void> nobody_listens(KernelHost&) {
    auto listening = listen_on_loopback();
    ring().close(listening.fd);
    int refused = co_await connect_to(listening.address);
    CHECK(refused == -ECONNREFUSED);
}

Task<void> deadlines_and_cancels_lose_nothing(KernelHost&) {
    auto pair = co_await connected_pair();
    std::byte one{};
    MutableBytes into(&one, 1);
    auto deadline = Loop::current().time() + milliseconds(5);
    auto late = co_await receive_some(pair.client, into, deadline);
    CHECK(late == -ETIMEDOUT);
    bool sent = co_await send_all(pair.server, "x");
    CHECK(sent);
    auto got = co_await receive_some(pair.client, into, soon());
    CHECK(got == 1);
    CHECK(one == std::byte{'x'});
    ring().close(pair.client);
    ring().close(pair.server);
}

Task<void> a_full_socket_becomes_writable_again(KernelHost&) {
    auto pair = co_await connected_pair();
    auto text = pattern(64 * KiB);
    std::size_t total = 0;
    std::int64_t sent = 0;
    while ((sent = ring().send_now(pair.client, bytes_of(std::string_view(text).substr(0, 100)),
                                   bytes_of(std::string_view(text).substr(100)), 0)) > 0) {
        total += static_cast<std::size_t>(sent);
        REQUIRE(total < GiB);
    }
    CHECK(sent == -EAGAIN);
    auto not_yet = co_await poll_socket(pair.client, POLLOUT, Loop::current().time() + milliseconds(5));
    CHECK(not_yet == -ETIMEDOUT);
    auto drained = co_await receive_exactly(pair.server, total);
    CHECK(drained.size() == total);
    auto ready = co_await poll_socket(pair.client, POLLOUT, soon());
    CHECK((ready & POLLOUT) != 0);
    CHECK(ring().send_now(pair.client, bytes_of("x"), {}, 0) == 1);
    ring().close(pair.client);
    auto rest = co_await receive_all(pair.server);
    CHECK(rest.text == "x");
    ring().close(pair.server);
}

Task<void> shutting_down_wakes_the_reader(KernelHost&) {
    auto pair = co_await connected_pair();
    Collector receiving(Request::Kind::receive_many, pair.client);
    receiving.start();
    co_await Sleep(milliseconds(5));
    CHECK(ring().shutdown(pair.client, SHUT_RDWR) == 0);
    auto report = co_await receiving.next();
    CHECK(report.result == 0);
    CHECK(!report.more);
    auto other = co_await receive_all(pair.server);
    CHECK(other.end == 0);
    ring().close(pair.client);
    ring().close(pair.server);
}

Task<void> one_accept_serves_many(KernelHost&) {
    auto listening = listen_on_loopback();
    Collector accepting(Request::Kind::accept, listening.fd);
    std::vector<int> open;
    for (int i = 0; i < 5; ++i) {
        int client = co_await connect_to(listening.address);
        CHECK(client >= 0);
        auto report = co_await accepting.next();
        CHECK(report.result >= 0);
        open.push_back(client);
        open.push_back(report.result);
    }
    co_await accepting.end();
    for (int fd : open) ring().close(fd);
    ring().close(listening.fd);
}

Task<void> a_cancelled_accept_says_so(KernelHost&) {
    auto listening = listen_on_loopback();
    Collector accepting(Request::Kind::accept, listening.fd);
    accepting.start();
    co_await Sleep(milliseconds(1));
    auto reports = co_await accepting.end();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].result == -ECANCELED);
    CHECK(!reports[0].more);
    ring().close(listening.fd);
}

/// Takes what arrives until `length` bytes are here, holding on to every buffer until none is left.
Task<std::string> receive_by_multishot(int fd, std::size_t length, bool& ran_out) {
    Collector receiving(Request::Kind::receive_many, fd);
    std::string text;
    std::vector<std::uint32_t> held;
    while (text.size() < length) {
        auto report = co_await receiving.next();
        if (report.result == -ENOBUFS) {
            CHECK(!report.more);
            ran_out = true;
            for (auto flags : std::exchange(held, {})) ring().give_back(flags);
            continue;
        }
        if (report.result <= 0) break;
        auto* bytes = ring().provided_buffer(report.flags);
        text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(report.result));
        held.push_back(report.flags);
    }
    for (auto flags : held) ring().give_back(flags);
    auto rest = co_await receiving.end();
    for (const auto& report : rest) CHECK(report.result <= 0);
    co_return text;
}

Task<void> multishot_receive_survives_empty_pools(KernelHost&) {
    auto pair = co_await connected_pair();
    TaskGroup sending;
    auto text = pattern(100'000);  // more than the eight buffers of 4 KiB
    sending.start(send_whole(pair.server, text));
    bool ran_out = false;
    auto received = co_await receive_by_multishot(pair.client, text.size(), ran_out);
    bool same = received == text;
    CHECK(same);
    CHECK(ran_out);
    co_await sending.close();
    ring().close(pair.server);
    ring().close(pair.client);
}

Task<void> files_go_out_without_a_copy(KernelHost& host) {
    int root = host.root();
    auto text = pattern(30'000);
    int file = co_await create(root, "f", text);
    for (bool closely : {false, true}) {
        CHECK(ring().resident(file, 0, text.size(), closely));
        CHECK(ring().resident(file, 100, 0, closely));
    }
    auto pair = co_await connected_pair();
    std::uint64_t offset = 0;
    while (offset < text.size()) {
        auto sent = ring().send_file_now(pair.server, file, offset, text.size() + 5000);
        REQUIRE(sent > 0);
        offset += static_cast<std::uint64_t>(sent);
        auto part = co_await receive_exactly(pair.client, static_cast<std::size_t>(sent));
        CHECK(part == text.substr(offset - part.size(), part.size()));
    }
    CHECK(ring().send_file_now(pair.server, file, 30'000, 1) == 0);
    for (int fd : {pair.client, pair.server, file, root}) ring().close(fd);
}

}  // namespace

TEST_CASE("kernel: a read at the end of a file is short, beyond it empty") { run_on_kernel(short_read_at_the_end); }
TEST_CASE("kernel: allocation extends a file, and holes read as zeros") { run_on_kernel(holes_and_allocation_read_as_zeros); }
TEST_CASE("kernel: open stays beneath its directory and names what is wrong") { run_on_kernel(opening_stays_beneath); }
TEST_CASE("kernel: rename with NOREPLACE leaves both files alone") { run_on_kernel(rename_may_refuse_to_replace); }
TEST_CASE("kernel: an unlinked file lives while it is open") { run_on_kernel(unlinked_files_live_while_open); }
TEST_CASE("kernel: a descriptor reads or writes only as it was opened") { run_on_kernel(access_modes_hold); }
TEST_CASE("kernel: O_DIRECT demands alignment of offset and memory") { run_on_kernel(direct_requests_are_aligned); }
TEST_CASE("kernel: a full disk refuses allocation and ends writes with ENOSPC") { run_on_kernel(a_full_disk_says_so); }
TEST_CASE("kernel: an echoing peer returns the bytes in order") { run_on_kernel(bytes_come_back_in_order); }
TEST_CASE("kernel: dropped bytes are counted and gone") { run_on_kernel(dropped_bytes_are_counted_and_gone); }
TEST_CASE("kernel: a half-closed connection still carries the answer") { run_on_kernel(half_closed_connections_answer); }
TEST_CASE("kernel: an abort is reported once, then the end") { run_on_kernel(an_abort_is_seen_once); }
TEST_CASE("kernel: closing over unread data resets the peer") { run_on_kernel(closing_over_unread_data_resets); }
TEST_CASE("kernel: sends to a closed peer fail with EPIPE") { run_on_kernel(sending_to_a_closed_peer_fails_soon); }
TEST_CASE("kernel: nobody listening means refused") { run_on_kernel(nobody_listens); }
TEST_CASE("kernel: a passed deadline loses no byte that comes later") { run_on_kernel(deadlines_and_cancels_lose_nothing); }
TEST_CASE("kernel: a full socket says EAGAIN and becomes writable when the peer reads") {
    run_on_kernel(a_full_socket_becomes_writable_again);
}
TEST_CASE("kernel: shutdown of the own side ends a waiting receive") { run_on_kernel(shutting_down_wakes_the_reader); }
TEST_CASE("kernel: one multishot accept serves many connections") { run_on_kernel(one_accept_serves_many); }
TEST_CASE("kernel: a cancelled accept ends with ECANCELED") { run_on_kernel(a_cancelled_accept_says_so); }
TEST_CASE("kernel: a multishot receive without buffers ends with ENOBUFS and continues after a new start") {
    run_on_kernel(multishot_receive_survives_empty_pools);
}
TEST_CASE("kernel: sendfile sends the range and nothing at the end of the file") { run_on_kernel(files_go_out_without_a_copy); }

}  // namespace entrepot::sim
