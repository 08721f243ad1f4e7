#include "entrepot/base/assert.h"

#include "entrepot/base/intrusive_list.h"
#include "entrepot/base/result.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

using namespace entrepot;

namespace {

struct End {
    bool aborted;
    std::string said;
};

// Runs `body` in a child process and reports how it ended and what it wrote to standard error (up to a pipe's 64 KiB).
End run_in_child(void (*body)()) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::signal(SIGABRT, SIG_DFL);  // doctest would report it as its own crash
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::dup2(ends[1], STDERR_FILENO);
        body();
        ::_exit(0);
    }
    ::close(ends[1]);
    End end{false, {}};
    char part[512];
    for (ssize_t count; (count = ::read(ends[0], part, sizeof part)) > 0;) end.said.append(part, static_cast<std::size_t>(count));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    end.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    return end;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

struct Item : ListLink {};

}  // namespace

TEST_CASE("assert: a condition that holds costs nothing visible") {
    const End end = run_in_child([] { ASSERT(1 + 1 == 2); });
    CHECK_FALSE(end.aborted);
    CHECK(end.said.empty());
}

TEST_CASE("assert: a broken invariant says where, calls the witness once, and aborts") {
    const End end = run_in_child([] {
        set_assert_witness([] { [[maybe_unused]] auto count = ::write(STDERR_FILENO, "witness\n", 8); });
        ASSERT(1 + 1 == 3);
    });
    CHECK(end.aborted);
    CHECK(contains(end.said, "1 + 1 == 3"));
    CHECK(contains(end.said, "assert_test.cpp:"));
    CHECK(contains(end.said, "witness\n"));
    CHECK(end.said.find("witness") == end.said.rfind("witness"));
}

TEST_CASE("assert: destroying a linked list element aborts") {
    const End end = run_in_child([] {
        IntrusiveList<Item> list;
        Item item;
        list.push_back(item);
    });
    CHECK(end.aborted);
}

TEST_CASE("assert: linking an element twice aborts") {
    const End end = run_in_child([] {
        IntrusiveList<Item> list;
        Item item;
        list.push_back(item);
        list.push_back(item);
    });
    CHECK(end.aborted);
    CHECK(contains(end.said, "!link.linked()"));
}

TEST_CASE("assert: taking the value of a failed result aborts") {
    const End end = run_in_child([] {
        Result<int> failed = Error{Fault::client, Code::closed};
        [[maybe_unused]] volatile int value = *failed;
    });
    CHECK(end.aborted);
}
