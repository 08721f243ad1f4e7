#include "upstream/secret.h"

#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace entrepot;

namespace {

std::string why(const Result<Secret, std::string>& secret) { return secret ? std::string() : secret.error(); }
/// Both halves of a login, as text.
Result<Secret, std::string> read_secret(const std::string& user, const std::string& password) {
    auto user_reference = parse_secret_reference(user), password_reference = parse_secret_reference(password);
    if (!user_reference || !password_reference) return std::string("no reference");
    auto user_text = entrepot::read_secret(*user_reference);
    if (!user_text) return user_text.error();
    auto password_text = entrepot::read_secret(*password_reference);
    if (!password_text) return password_text.error();
    return login_of(*std::move(user_text), *std::move(password_text), *user_reference);
}
bool says(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("secret: one line end behind it is dropped, and nothing else") {
    SecretFiles files;
    struct Row {
        const char* content;
        const char* password;  // null: refused
    };
    const Row rows[] = {
        {"pass", "pass"},      {"pass\n", "pass"},   {"pass\r\n", "pass"}, {" pass ", " pass "}, {"p\xc3\xa4ss\n", "p\xc3\xa4ss"},
        {"pass\n\n", nullptr}, {"pa\nss", nullptr},  {"pass\r", nullptr},  {"pa\tss", nullptr},  {"\n", nullptr},
        {"", nullptr},         {"pa\x7fss", nullptr}};
    auto user = files.write("user", "lab\n");
    for (auto& row : rows) {
        CAPTURE(std::string(row.content));
        auto secret = read_secret(user, files.write("password", row.content));
        CHECK(secret.has_value() == (row.password != nullptr));
        if (secret && row.password) CHECK(secret->password() == row.password);
        CHECK(!says(why(secret), "pass\n"));
    }
}

TEST_CASE("secret: a NUL in it is refused") {
    SecretFiles files;
    auto secret = read_secret(files.write("user", "lab"), files.write("password", std::string("pa\0ss", 5)));
    CHECK(says(why(secret), "control characters"));
}

TEST_CASE("secret: a file that others may read or change is refused, one of the service's group is not") {
    SecretFiles files;
    auto user = files.write("user", "lab");
    struct Row {
        mode_t mode;
        bool good;
    };
    for (auto row : {Row{0600, true}, Row{0400, true}, Row{0640, true}, Row{0440, true}, Row{0644, false}, Row{0604, false},
                     Row{0602, false}, Row{0660, false}, Row{0666, false}}) {
        CAPTURE(row.mode);
        auto secret = read_secret(user, files.write("password", "correct-horse", row.mode));
        CHECK(secret.has_value() == row.good);
        if (!row.good) CHECK(says(why(secret), "chmod 600"));
        CHECK(!says(why(secret), "correct-horse"));
    }
}

TEST_CASE("secret: a stranger's file is refused, and so is one that anybody may replace") {
    SecretFiles files;
    auto reference = *parse_secret_reference(files.write("password", "correct-horse"));
    CHECK(entrepot::read_secret(reference));
    ::chmod(files.directory().c_str(), 0777);
    CHECK(says(entrepot::read_secret(reference).error(), "lies in a directory that everybody may write to"));
    ::chmod(files.directory().c_str(), 01777);  // as /tmp: nobody touches what is others'
    CHECK(entrepot::read_secret(reference));
    ::chmod(files.directory().c_str(), 0700);
    if (::geteuid() != 0) return;
    REQUIRE(::chown(reference.place.c_str(), 12345, 0) == 0);
    auto refused = entrepot::read_secret(reference);
    REQUIRE_FALSE(refused);
    CHECK(says(refused.error(), "belongs to user 12345"));
    CHECK(!says(refused.error(), "correct-horse"));
}

TEST_CASE("secret: a token that another program writes may be seen by others, but not changed by them") {
    SecretFiles files;
    struct Row {
        mode_t mode;
        bool shown, secret;
    };
    for (auto row : {Row{0600, true, true}, Row{0640, true, true}, Row{0644, true, false}, Row{0444, true, false},
                     Row{0664, false, false}, Row{0646, false, false}}) {
        CAPTURE(row.mode);
        auto path = files.write("token", "a.b.c\n", row.mode).substr(5);
        CHECK(read_own_file(path, false).has_value() == row.shown);
        CHECK(read_own_file(path, true).has_value() == row.secret);
    }
    CHECK(says(read_own_file(files.write("token", "").substr(5), false).error(), "is empty"));
}

TEST_CASE("secret: a challenge file is a small plain file, and no link to another") {
    SecretFiles files;
    auto path = files.write("challenge.key", std::string(4096, 'k'), 0644).substr(5);
    CHECK(read_challenge_file(path)->text().size() == 4096);
    auto link = files.directory() + "/link.key";
    REQUIRE(::symlink(path.c_str(), link.c_str()) == 0);
    CHECK_FALSE(read_challenge_file(link));
    ::unlink(link.c_str());
    files.write("challenge.key", std::string(4097, 'k'));
    CHECK(says(read_challenge_file(path).error(), "larger than 4 KiB"));
    CHECK_FALSE(read_challenge_file(files.directory()));
    CHECK(says(read_challenge_file(files.directory() + "/absent.key").error(), "group himds"));
}

TEST_CASE("secret: what is missing, too large or no file is told by its place") {
    SecretFiles files;
    auto user = files.write("user", "lab");
    CHECK(says(why(read_secret(user, "file:" + files.directory() + "/absent")), "absent cannot be read: No such file"));
    CHECK(says(why(read_secret(user, "file:" + files.directory())), "is not a file"));
    CHECK(says(why(read_secret(user, files.write("password", std::string(secret_bytes_max + 1, 'x')))), "larger than 64 KiB"));
    CHECK(read_secret(user, files.write("password", std::string(secret_bytes_max, 'x'))).has_value());
    auto pipe = files.directory() + "/pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(says(why(read_secret(user, "file:" + pipe)), "is not a file"));
    ::unlink(pipe.c_str());
    CHECK(says(why(read_secret(user, "vault:kv/x#y")), "kept in a vault"));
}

TEST_CASE("secret: environment and systemd credentials are read where they are") {
    SecretFiles files;
    ::setenv("ENTREPOT_TEST_SECRET", "from-environment", 1);
    auto from_environment = read_secret("env:ENTREPOT_TEST_SECRET", "env:ENTREPOT_TEST_SECRET");
    REQUIRE(from_environment);
    CHECK(from_environment->password() == "from-environment");
    ::unsetenv("ENTREPOT_TEST_SECRET");
    CHECK(says(why(read_secret("env:ENTREPOT_TEST_SECRET", "env:ENTREPOT_TEST_SECRET")), "is not set"));

    ::unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(says(why(read_secret("systemd:hub", "systemd:hub")), "LoadCredential=hub"));
    files.write("hub", "from-unit\n", 0444);  // systemd's modes, in a directory that is private
    ::setenv("CREDENTIALS_DIRECTORY", files.directory().c_str(), 1);
    auto from_unit = read_secret("systemd:hub", "systemd:hub");
    ::unsetenv("CREDENTIALS_DIRECTORY");
    REQUIRE(from_unit);
    CHECK(from_unit->password() == "from-unit");
}

TEST_CASE("secret: the Basic header is RFC 7617's, and a user name with a colon has none") {
    CHECK(Secret("Aladdin", "open sesame").basic_header() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(Secret("$oauthtoken", std::string(3000, 'k')).basic_header().size() == 6 + 4 * ((12 + 3000 + 2) / 3));
    // RFC 4648 section 10, behind "f:"
    CHECK(Secret("f", "").basic_header() == "Basic Zjo=");
    CHECK(Secret("f", "f").basic_header() == "Basic Zjpm");
    CHECK(Secret("f", "\xff\xfe").basic_header() == "Basic Zjr//g==");
    SecretFiles files;
    auto secret = read_secret(files.write("user", "la:b"), files.write("password", "x"));
    CHECK(says(why(secret), "holds a colon"));
}

TEST_CASE("secret: wiping reaches what is left behind the end") {
    std::string text = "correct-horse";  // short enough to live inside the object
    auto* bytes = text.data();
    text.resize(2);
    wipe(text);
    CHECK(text.empty());
    CHECK(std::string_view(bytes, 13).find_first_not_of('\0') == std::string_view::npos);
}
