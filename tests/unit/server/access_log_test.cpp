#include "entrepot/server/access_log.h"

#include "support/run_task.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace entrepot {
namespace {

class LogPlace {
  public:
    LogPlace() {
        std::string name = "/tmp/entrepot-access-XXXXXX";
        REQUIRE(::mkdtemp(name.data()));
        directory_ = name;
    }
    ~LogPlace() { std::filesystem::remove_all(directory_); }
    std::string path(std::string_view name = "access.log") const { return directory_ + "/" + std::string(name); }
    std::string text(std::string_view name = "access.log") const {
        std::ifstream file(path(name));
        std::stringstream all;
        all << file.rdbuf();
        return all.str();
    }

  private:
    std::string directory_;
};

AccessRecord some_record() {
    AccessRecord record;
    record.started_us = 1'497'936'566'200'000;
    record.took = milliseconds(1500);
    record.client = "10.1.2.3:40000";
    record.method = "GET";
    record.target = "/v2/lab/app/manifests/1";
    record.agent = "containerd/1.6.20";
    record.status = 200;
    record.body_bytes = 428;
    record.served = "hit";
    return record;
}

std::size_t lines_in(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

}  // namespace

TEST_CASE("access log: a line is JSON in the words of registry traces") {
    std::string line;
    append_line(line, some_record());
    CHECK(
        line ==
        "{\"timestamp\":\"2017-06-20T05:29:26.200000Z\",\"http.request.remoteaddr\":\"10.1.2.3:40000\",\"http.request.method\":\"GET\","
        "\"http.request.uri\":\"/v2/lab/app/manifests/1\",\"http.request.useragent\":\"containerd/1.6.20\",\"entrepot.cache\":\"hit\","
        "\"http.response.status\":200,\"http.response.written\":428,\"http.request.duration\":1.500000}\n");
}

TEST_CASE("access log: what somebody sends stays inside its text, in one line, and has an end") {
    auto record = some_record();
    record.target = "/v2/\"},{\"x\":\"\\u0000";
    record.agent = "a\x1b[2J\r\n\xff" + std::string(access_text_bytes_max, 'x');
    record.account = "alice";
    record.aborted = true;
    std::string line;
    append_line(line, record);
    CHECK(lines_in(line) == 1);
    auto json = nlohmann::json::parse(line);
    CHECK(json["http.request.uri"] == record.target);
    CHECK(json["auth.user.name"] == "alice");
    CHECK(json["entrepot.aborted"] == true);
    auto agent = json["http.request.useragent"].get<std::string>();
    CHECK(agent.substr(0, 9) == "a\x1b[2J\r\n\xc3\xbf");
    CHECK(line.size() < access_text_bytes_max + 1024);
    // A head that nobody could read has neither method nor target.
    AccessRecord unread;
    unread.status = 400;
    line.clear();
    append_line(line, unread);
    CHECK(line ==
          "{\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"http.response.status\":400,\"http.response.written\":0,"
          "\"http.request.duration\":0.000000}\n");
}

TEST_CASE("access log: lines are in the file after a second, and at the end all of them are") {
    LogPlace place;
    auto file = AccessLogFile::open(place.path());
    REQUIRE(file);
    TestLoop loop;
    AccessLog log(**file);
    auto running = log.run();
    log.add(some_record());
    loop.run_until([&] { return lines_in(place.text()) == 1; }, seconds(10));
    for (int i = 0; i < 1000; ++i) log.add(some_record());
    log.stop();
    loop.run(std::move(running));
    CHECK(lines_in(place.text()) == 1001);
    CHECK(log.dropped().value() == 0);
}

TEST_CASE("access log: two shards append to one file, and a rotated log is begun anew while they do") {
    LogPlace place;
    auto file = AccessLogFile::open(place.path());
    REQUIRE(file);
    TestLoop loop;
    AccessLog one(**file), other(**file);
    auto first = one.run(), second = other.run();
    for (int i = 0; i < 500; ++i) {
        one.add(some_record());
        other.add(some_record());
    }
    loop.run_until([&] { return lines_in(place.text()) == 1000; }, seconds(10));
    std::filesystem::rename(place.path(), place.path("access.log.1"));
    CHECK((*file)->reopen());
    one.add(some_record());
    one.stop();
    other.stop();
    loop.run(std::move(first));
    loop.run(std::move(second));
    CHECK(lines_in(place.text("access.log.1")) == 1000);
    CHECK(lines_in(place.text()) == 1);
    // Where nothing can be opened the lines go on where they went.
    std::filesystem::remove(place.path());
    std::filesystem::create_directory(place.path());
    auto reopened = (*file)->reopen();
    REQUIRE_FALSE(reopened);
    CHECK(reopened.error() == "[server] access_log: cannot append to " + place.path() + ": Is a directory");
    CHECK_FALSE(AccessLogFile::open(place.path()));
}

TEST_CASE("access log: a disk that takes nothing costs lines, not requests, and memory has an end") {
    TestLoop loop;
    auto full = AccessLogFile::open("/dev/full");
    REQUIRE(full);
    AccessLog log(**full);
    auto running = log.run();
    log.add(some_record());
    loop.run_until([&] { return log.dropped().value() == 1; }, seconds(10));
    // Nobody writes while nobody turns the loop: what waits is bounded.
    std::string line;
    append_line(line, some_record());
    auto fit = AccessLog::waiting_bytes_max / line.size() + 1;
    for (std::size_t i = 0; i < fit; ++i) log.add(some_record());
    CHECK(log.dropped().value() == 1);
    for (int i = 0; i < 10; ++i) log.add(some_record());
    CHECK(log.dropped().value() == 11);
    log.stop();
    loop.run(std::move(running));
    CHECK(log.dropped().value() == 11 + fit);
}

}  // namespace entrepot
