#include "entrepot/io/ring.h"

#include "support/run_task.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

namespace entrepot {
namespace {

Ring::Options without_files() {
    auto options = TestLoop::small_ring();
    options.files = false;
    return options;
}

Task<int> sync_now(int fd) { co_return co_await sync_file(fd); }
Task<int> open_dot() { co_return co_await open_file(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY, 0); }
Task<int> read_now(int fd, MutableBytes into) { co_return co_await read_file(fd, into, 0, -1); }

}  // namespace

TEST_CASE("ring: what its allow-list does not hold is refused by the kernel, and counted") {
    int fd = ::memfd_create("ring", MFD_CLOEXEC);
    TestLoop loop(without_files());
    CHECK(loop.run(sync_now(fd)) == -EACCES);
    CHECK(loop.ring().real().refusals.load() == 1);
    CHECK(loop.run(open_dot()) == -EACCES);
    CHECK(loop.ring().real().refusals.load() == 2);
    std::byte into[8];
    CHECK(loop.run(read_now(fd, into)) == 0);
    CHECK(loop.ring().real().refusals.load() == 2);
    ::close(fd);
}

TEST_CASE("ring: what others deny is not counted as refused by the ring") {
    TestLoop loop;
    int broadcast = loop->ring().socket(AF_INET, SOCK_DGRAM);
    sockaddr_in everybody{};
    everybody.sin_family = AF_INET;
    everybody.sin_addr.s_addr = INADDR_BROADCAST;
    auto* address = reinterpret_cast<sockaddr*>(&everybody);
    auto connect_now = [](int fd, sockaddr* to) -> Task<int> {
        co_return co_await connect_socket(fd, to, sizeof(sockaddr_in), Instant::never());
    };
    CHECK(loop.run(connect_now(broadcast, address)) == -EACCES);
    CHECK(loop.ring().real().refusals.load() == 0);
    loop->ring().close(broadcast);
}

}  // namespace entrepot
