#include "entrepot/base/out_of_memory.h"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <new>
#include <string>

namespace entrepot {

TEST_CASE("out of memory: an operator new that fails is one line and status 1") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    auto child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        volatile std::size_t too_much = static_cast<std::size_t>(1) << 62;
        static_cast<volatile char*>(::operator new(too_much))[0] = 1;
        end_out_of_memory();  // never reached; without it nobody would link the handler
    }
    ::close(ends[1]);
    std::string said(512, '\0');
    auto length = ::read(ends[0], said.data(), said.size());
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 1);
    REQUIRE(length > 0);
    said.resize(static_cast<std::size_t>(length));
    CHECK(said.starts_with("entrepot: error: out of memory: "));
    CHECK(said.find('\n') == said.size() - 1);
}

}  // namespace entrepot
