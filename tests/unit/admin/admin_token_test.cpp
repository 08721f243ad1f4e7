#include "entrepot/admin/admin_token.h"

#include "support/run_task.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace entrepot {
namespace {

using Verdict = AdminToken::Verdict;

struct Directory {
    Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~Directory() { std::filesystem::remove_all(path); }
    std::string file() const { return path + "/admin.token"; }
    std::string text() const {
        std::ifstream file(this->file());
        std::string line;
        std::getline(file, line);
        return line;
    }
    void write(const std::string& text, mode_t mode = 0600) const {
        std::ofstream(file(), std::ios::trunc) << text;
        REQUIRE(::chmod(file().c_str(), mode) == 0);
    }
    std::string path = "/tmp/admin-token-XXXXXX";
};

}  // namespace

TEST_CASE("admin token: the first start makes it, for its user alone; a later one leaves it") {
    TestLoop loop;
    Directory directory;
    std::string first;
    {
        AdminToken token(directory.path);
        loop.run(token.prepare());
        first = directory.text();
        CHECK(first.size() == 43);
        CHECK(first.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos);
        struct ::stat status {};
        REQUIRE(::stat(directory.file().c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);
        CHECK(loop.run(token.check(first)) == Verdict::right);
        CHECK(loop.run(token.check(first + "x")) == Verdict::wrong);
        CHECK(loop.run(token.check("")) == Verdict::wrong);
        auto changed = first;
        changed.back() = changed.back() == 'A' ? 'B' : 'A';
        CHECK(loop.run(token.check(changed)) == Verdict::wrong);
    }
    AdminToken again(directory.path);
    loop.run(again.prepare());
    CHECK(directory.text() == first);
    Directory other;
    AdminToken different(other.path);
    loop.run(different.prepare());
    CHECK(other.text() != first);
}

TEST_CASE("admin token: a draft that a crash left is no token") {
    TestLoop loop;
    Directory directory;
    std::ofstream(directory.path + "/admin.token.new") << "half of a";
    AdminToken token(directory.path);
    loop.run(token.prepare());
    CHECK(directory.text().size() == 43);
    CHECK_FALSE(std::filesystem::exists(directory.path + "/admin.token.new"));
}

TEST_CASE("admin token: a replaced file counts at once") {
    TestLoop loop;
    Directory directory;
    AdminToken token(directory.path);
    loop.run(token.prepare());
    auto first = directory.text();
    const std::string own(40, 'k');
    directory.write(own + "\n");
    CHECK(loop.run(token.check(own)) == Verdict::right);
    CHECK(loop.run(token.check(first)) == Verdict::wrong);
    directory.write(own);  // without a line end
    CHECK(loop.run(token.check(own)) == Verdict::right);
    std::filesystem::remove(directory.file());
    CHECK(loop.run(token.check(own)) == Verdict::unusable);
}

TEST_CASE("admin token: what others may read or write, and what is no token, opens nothing") {
    TestLoop loop;
    Directory directory;
    AdminToken token(directory.path);
    loop.run(token.prepare());
    const std::string sound(40, 'k');
    for (mode_t mode : {0640u, 0604u, 0620u, 0660u, 0601u, 0777u}) {
        CAPTURE(mode);
        directory.write(sound, mode);
        CHECK(loop.run(token.check(sound)) == Verdict::unusable);
    }
    directory.write(sound, 0400);
    CHECK(loop.run(token.check(sound)) == Verdict::right);
    REQUIRE(::chmod(directory.file().c_str(), 0600) == 0);
    for (auto& text :
         {std::string(), std::string("\n"), std::string(31, 'k'), std::string(513, 'k'), std::string(40, 'k') + "\n\n",
          std::string(20, 'k') + " " + std::string(20, 'k'), std::string(40, '\0'), std::string(40, 'k') + "\r\n"}) {
        directory.write(text);
        CHECK(loop.run(token.check(text)) == Verdict::unusable);
    }
    std::filesystem::remove(directory.file());
    std::ofstream(directory.path + "/elsewhere") << sound;
    REQUIRE(::chmod((directory.path + "/elsewhere").c_str(), 0600) == 0);
    std::filesystem::create_symlink("elsewhere", directory.file());
    CHECK(loop.run(token.check(sound)) == Verdict::unusable);
    std::filesystem::remove(directory.file());
    REQUIRE(::mkfifo(directory.file().c_str(), 0600) == 0);
    CHECK(loop.run(token.check(sound)) == Verdict::unusable);
}

TEST_CASE("admin token: without a directory no token is right") {
    TestLoop loop;
    AdminToken token("/nonexistent/store");
    loop.run(token.prepare());
    CHECK(loop.run(token.check("")) == Verdict::unusable);
}

TEST_CASE("admin token: two texts are equal when every byte is") {
    CHECK(equal_in_constant_time("", ""));
    CHECK(equal_in_constant_time("abc", "abc"));
    CHECK_FALSE(equal_in_constant_time("abc", "abd"));
    CHECK_FALSE(equal_in_constant_time("abc", "bbc"));
    CHECK_FALSE(equal_in_constant_time("abc", "ab"));
    CHECK_FALSE(equal_in_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

}  // namespace entrepot
