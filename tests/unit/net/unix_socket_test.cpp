#include "net/unix_socket.h"

#include "entrepot/net/listener.h"
#include "entrepot/net/peer.h"
#include "entrepot/net/plain_stream.h"

#include "support/loopback.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace entrepot {
namespace {

constexpr int backlog = 128;  // nobody accepts here, and whoever looks whether we live takes a place

struct Directory {
    Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string path = "/tmp/unix-socket-XXXXXX";
};

struct ::stat look_at(const std::string& path) {
    struct ::stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
}

bool exists(const std::string& path) {
    struct ::stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

/// A connected descriptor, or -1.
int connect_to_path(const std::string& path) {
    int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) return socket;
    ::close(socket);
    return -1;
}

}  // namespace

TEST_CASE("unix socket: made with its directory, for its group, whatever the umask; removed at the end") {
    Directory directory;
    auto path = directory.path + "/run/admin.sock";
    auto before = ::umask(0);
    auto opened = open_unix_socket(path, 12345, backlog);
    ::umask(before);
    REQUIRE(opened);
    auto status = look_at(path);
    CHECK(S_ISSOCK(status.st_mode));
    CHECK((status.st_mode & 07777) == 0660);
    CHECK(status.st_gid == 12345);
    int client = connect_to_path(path);
    CHECK(client >= 0);
    ::close(client);
    ::close(opened->descriptor);
    remove_unix_socket(*opened);
    CHECK_FALSE(exists(path));

    auto narrow = ::umask(0777);
    opened = open_unix_socket(path, std::nullopt, backlog);
    ::umask(narrow);
    REQUIRE(opened);
    CHECK((look_at(path).st_mode & 07777) == 0660);
    CHECK(look_at(path).st_gid == ::getegid());
    ::close(opened->descriptor);
}

TEST_CASE("unix socket: one that a dead server left is replaced, one of a live server never") {
    Directory directory;
    auto path = directory.path + "/admin.sock";
    auto first = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE(first);
    auto second = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE_FALSE(second);
    CHECK(second.error() == "cannot listen on unix:" + path + ": another server is listening there");
    int client = connect_to_path(path);
    CHECK(client >= 0);  // the first is as it was
    ::close(client);

    ::close(first->descriptor);  // as after kill -9: the name stays
    REQUIRE(exists(path));
    second = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE(second);
    remove_unix_socket(*second);
    CHECK_FALSE(exists(path));
    ::close(second->descriptor);
}

TEST_CASE("unix socket: whose name somebody removed takes nothing of the next one away") {
    Directory directory;
    auto path = directory.path + "/admin.sock";
    auto first = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE(first);
    REQUIRE(::unlink(path.c_str()) == 0);
    auto second = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE(second);
    remove_unix_socket(*first);
    CHECK(exists(path));
    ::close(first->descriptor);
    ::close(second->descriptor);
}

TEST_CASE("unix socket: a name whose rights an operator changed is still removed at the end") {
    Directory directory;
    auto path = directory.path + "/admin.sock";
    auto opened = open_unix_socket(path, std::nullopt, backlog);
    REQUIRE(opened);
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    remove_unix_socket(*opened);
    CHECK_FALSE(exists(path));
    ::close(opened->descriptor);
}

TEST_CASE("unix socket: a server whose queue is full is alive all the same") {
    Directory directory;
    auto path = directory.path + "/admin.sock";
    auto first = open_unix_socket(path, std::nullopt, 0);
    REQUIRE(first);
    int waiting = connect_to_path(path);
    REQUIRE(waiting >= 0);
    CHECK_FALSE(open_unix_socket(path, std::nullopt, backlog));
    ::close(waiting);
    ::close(first->descriptor);
}

TEST_CASE("unix socket: what is not ours to replace stays, and the reason is one line") {
    Directory directory;
    auto file = directory.path + "/file";
    std::ofstream(file) << "precious";
    auto refused = open_unix_socket(file, std::nullopt, backlog);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == "cannot listen on unix:" + file + ": something that is no socket has this name");
    CHECK(std::filesystem::file_size(file) == 8);

    auto link = directory.path + "/link";
    std::filesystem::create_symlink("file", link);
    CHECK_FALSE(open_unix_socket(link, std::nullopt, backlog));
    CHECK_FALSE(open_unix_socket(file + "/admin.sock", std::nullopt, backlog));
    CHECK_FALSE(open_unix_socket(directory.path + "/a/b/admin.sock", std::nullopt, backlog));
    CHECK_FALSE(open_unix_socket("/" + std::string(120, 'x'), std::nullopt, backlog));

    REQUIRE(::chmod(directory.path.c_str(), 0777) == 0);
    refused = open_unix_socket(directory.path + "/admin.sock", std::nullopt, backlog);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().find("everybody may replace files") != std::string::npos);
    REQUIRE(::chmod(directory.path.c_str(), 01777) == 0);
    auto opened = open_unix_socket(directory.path + "/admin.sock", std::nullopt, backlog);
    REQUIRE(opened);
    ::close(opened->descriptor);
}

TEST_CASE("unix socket: a listener accepts from it, knows the user behind it, and takes its name away") {
    TestLoop loop;
    Directory directory;
    auto path = directory.path + "/admin.sock";
    auto listener = Listener::open_unix(path, std::nullopt);
    REQUIRE(listener);
    CHECK((*listener)->text() == "unix:" + path);
    CHECK((*listener)->address().family() == AF_UNSPEC);
    int client = connect_to_path(path);
    REQUIRE(client >= 0);
    int accepted = loop.run((*listener)->accept());
    REQUIRE(accepted >= 0);
    auto peer = identify_peer(accepted);
    CHECK(peer.is_unix);
    CHECK(peer.user == ::geteuid());
    CHECK(peer.group == ::getegid());
    std::vector<gid_t> groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
    REQUIRE(::getgroups(static_cast<int>(groups.size()), groups.data()) >= 0);
    CHECK(peer.more_groups.size() == groups.size());
    for (auto group : groups) CHECK(peer.is_in_group(group));
    CHECK_FALSE(peer.is_in_group(54321));

    auto stream = make_client_stream(accepted, Address());
    REQUIRE(::write(client, "hello", 5) == 5);
    auto chunk = loop.run(stream->receive(soon()));
    REQUIRE(chunk);
    CHECK(text_of(chunk->bytes()) == "hello");
    chunk->release();
    CHECK(loop.run(send_text(*stream, "back")));
    char answer[8];
    CHECK(::read(client, answer, sizeof answer) == 4);
    ::close(client);
    loop.run(stream->close(CloseHow::orderly));
    (*listener)->stop();
    loop.run((*listener)->close());
    CHECK_FALSE(exists(path));
}

TEST_CASE("unix socket: over TCP a peer is its address, and one that has left is a stranger") {
    TestLoop loop;
    Loopback pair(loop);
    auto opened = Listener::open(*Address::parse("127.0.0.1", 0));
    REQUIRE(opened);
    auto connecting = connect_to({(*opened)->address()}, true, soon());
    int socket = loop.run((*opened)->accept());
    auto client = loop.run(std::move(connecting));
    REQUIRE(client);
    auto peer = identify_peer(socket);
    CHECK_FALSE(peer.is_unix);
    CHECK(peer.address.is_loopback());
    CHECK(peer.text().starts_with("127.0.0.1:"));
    CHECK_FALSE(peer.is_in_group(0));
    loop.run((*client)->close(CloseHow::abort));
    loop.run_for(milliseconds(5));
    auto gone = identify_peer(socket);
    CHECK_FALSE(gone.is_unix);
    CHECK_FALSE(gone.address.is_loopback());
    loop->ring().close(socket);
    (*opened)->stop();
    loop.run((*opened)->close());
}

}  // namespace entrepot
