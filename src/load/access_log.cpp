#include "load/access_log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

namespace entrepot::load {
namespace {

using Json = nlohmann::json;

constexpr std::size_t path_bytes_max = 8 * 1024;  // what servers accept

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
std::int64_t days_of(std::int64_t year, unsigned month, unsigned day) noexcept {
    year -= month <= 2;
    auto era = (year >= 0 ? year : year - 399) / 400;
    auto year_of_era = static_cast<unsigned>(year - era * 400);
    auto day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    auto day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146'097 + static_cast<std::int64_t>(day_of_era) - 719'468;
}

/// Reads numbers and marks one after another; once something is missing it stays failed.
class Scanner {
  public:
    explicit Scanner(std::string_view text) noexcept : left_(text) {}
    unsigned number(std::size_t digits) noexcept {
        unsigned value = 0;
        auto [end, error] = std::from_chars(left_.data(), left_.data() + std::min(digits, left_.size()), value);
        bool whole = error == std::errc() && end == left_.data() + digits;
        failed_ |= !whole;
        left_.remove_prefix(whole ? digits : left_.size());
        return value;
    }
    void mark(char wanted) noexcept {
        if (!take(wanted)) failed_ = true;
    }
    bool take(char wanted) noexcept {
        bool here = !left_.empty() && left_.front() == wanted;
        if (here) left_.remove_prefix(1);
        return here;
    }
    std::string_view word(std::size_t length) noexcept {
        auto found = left_.substr(0, length);
        failed_ |= found.size() < length;
        left_.remove_prefix(found.size());
        return found;
    }
    /// ".214" as nanoseconds.
    std::int64_t fraction() noexcept {
        if (!take('.')) return 0;
        std::int64_t value = 0, unit = 100'000'000;
        while (!left_.empty() && left_.front() >= '0' && left_.front() <= '9') {
            value += (left_.front() - '0') * unit;
            unit /= 10;
            left_.remove_prefix(1);
        }
        return value;
    }
    bool good() const noexcept { return !failed_; }
    bool at_end() const noexcept { return left_.empty(); }

  private:
    std::string_view left_;
    bool failed_ = false;
};

constexpr std::int64_t second_ns = 1'000'000'000;

struct Moment {
    std::int64_t day = 0;
    unsigned hour = 0, minute = 0, second = 0;
    bool valid() const noexcept { return hour < 24 && minute < 60 && second <= 60; }
    std::int64_t seconds() const noexcept { return ((day * 24 + hour) * 60 + minute) * 60 + second; }
};

/// "20/Jun/2017:05:29:26 +0000" of the common log format, in nanoseconds.
std::optional<std::int64_t> parse_log_date(std::string_view text) noexcept {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    Scanner scan(text);
    Moment moment;
    unsigned day = scan.number(2);
    scan.mark('/');
    auto month = months.find(scan.word(3));
    scan.mark('/');
    unsigned year = scan.number(4);
    scan.mark(':');
    moment.hour = scan.number(2);
    scan.mark(':');
    moment.minute = scan.number(2);
    scan.mark(':');
    moment.second = scan.number(2);
    scan.mark(' ');
    bool west = scan.take('-');
    if (!west) scan.mark('+');
    auto zone_minutes = static_cast<std::int64_t>(scan.number(2) * 60);
    zone_minutes += scan.number(2);
    if (!scan.good() || month == months.npos || month % 3 != 0 || day < 1 || day > 31 || !moment.valid()) return std::nullopt;
    moment.day = days_of(year, static_cast<unsigned>(month / 3 + 1), day);
    return (moment.seconds() + (west ? zone_minutes : -zone_minutes) * 60) * second_ns;
}

/// One record, whatever it was written as.
struct Record {
    std::optional<std::int64_t> time;
    std::string_view method, uri;
    unsigned status = 0;
};

class Collector {
  public:
    explicit Collector(std::string_view name) : name_(name) {}

    /// The text of a refusal, or empty.
    std::string take(const Record& record, std::size_t number) {
        if (!record.time) return fmt::format("{}:{}: no usable timestamp", name_, number);
        bool head = record.method == "HEAD";
        if (record.method != "GET" && !head) {
            ++log_.passed_over;
            return {};
        }
        if (record.uri.empty() || record.uri.size() > path_bytes_max) return fmt::format("{}:{}: no usable URI", name_, number);
        for (char c : record.uri)
            if (c <= ' ' || c >= 0x7f) return fmt::format("{}:{}: an unusable character in the URI", name_, number);
        if (log_.requests.size() == log_requests_max)
            return fmt::format("{}:{}: more than {} requests", name_, number, log_requests_max);
        auto status = static_cast<std::uint16_t>(record.status > 599 ? 0 : record.status);
        log_.requests.push_back({.at = Duration(*record.time), .object = object_of(record.uri), .status = status, .head = head});
        return {};
    }

    Result<AccessLog, std::string> finish() {
        if (log_.requests.empty()) return fmt::format("{} holds no GET or HEAD", name_);
        // Servers write a request down when it ended, and traces are merged from several servers.
        std::stable_sort(log_.requests.begin(), log_.requests.end(),
                         [](const LoggedRequest& a, const LoggedRequest& b) { return a.at < b.at; });
        auto first = log_.requests.front().at;
        for (auto& request : log_.requests) request.at -= first;
        return std::move(log_);
    }

  private:
    std::uint32_t object_of(std::string_view uri) {
        std::string path = uri.front() == '/' ? std::string(uri) : "/" + std::string(uri);
        auto [found, is_new] = objects_.try_emplace(std::move(path), static_cast<std::uint32_t>(log_.paths.size()));
        if (is_new) log_.paths.push_back(found->first);
        return found->second;
    }

    std::string_view name_;
    AccessLog log_;
    std::unordered_map<std::string, std::uint32_t> objects_;
};

std::string_view text_at(const Json& record, const char* key) {
    auto found = record.find(key);
    return found != record.end() && found->is_string() ? std::string_view(found->get_ref<const std::string&>())
                                                       : std::string_view();
}

std::string take_json(Collector& collector, const Json& json, std::string_view name, std::size_t number) {
    if (!json.is_object()) return fmt::format("{}:{}: not a JSON object", name, number);
    Record record;
    record.time = parse_timestamp(text_at(json, "timestamp"));
    record.method = text_at(json, "http.request.method");
    record.uri = text_at(json, "http.request.uri");
    auto status = json.find("http.response.status");
    if (status != json.end() && status->is_number_unsigned()) record.status = status->get<unsigned>();
    return collector.take(record, number);
}

/// `CLIENT - USER [DATE] "METHOD URI PROTOCOL" STATUS BYTES ...`
std::string take_line(Collector& collector, std::string_view line, std::string_view name, std::size_t number) {
    auto date = line.find('['), date_end = line.find(']');
    auto quote = line.find('"'), quote_end = line.find('"', quote + 1);
    if (date == line.npos || date_end == line.npos || date_end < date || quote == line.npos || quote_end == line.npos)
        return fmt::format("{}:{}: not a line of the common log format", name, number);
    auto request = line.substr(quote + 1, quote_end - quote - 1);
    auto blank = request.find(' '), second_blank = request.find(' ', blank + 1);
    Record record;
    record.time = parse_log_date(line.substr(date + 1, date_end - date - 1));
    record.method = request.substr(0, blank);
    if (blank != request.npos) record.uri = request.substr(blank + 1, second_blank - blank - 1);
    auto rest = line.substr(quote_end + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    std::from_chars(rest.data(), rest.data() + rest.size(), record.status);
    return collector.take(record, number);
}

std::string take_array(Collector& collector, std::string_view text, std::string_view name) {
    auto array = Json::parse(text, nullptr, false);
    if (!array.is_array()) return fmt::format("{} begins like a JSON array and is none", name);
    std::size_t number = 0;
    for (const auto& record : array)
        if (auto wrong = take_json(collector, record, name, ++number); !wrong.empty()) return wrong;
    return {};
}

std::string take_lines(Collector& collector, std::string_view text, std::string_view name, bool json) {
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        auto wrong = json ? take_json(collector, Json::parse(line, nullptr, false), name, number)
                          : take_line(collector, line, name, number);
        if (!wrong.empty()) return wrong;
    }
    return {};
}

}  // namespace

std::optional<std::int64_t> parse_timestamp(std::string_view text) noexcept {
    Scanner scan(text);
    Moment moment;
    unsigned year = scan.number(4);
    scan.mark('-');
    unsigned month = scan.number(2);
    scan.mark('-');
    unsigned day = scan.number(2);
    if (!scan.take('T')) scan.mark(' ');
    moment.hour = scan.number(2);
    scan.mark(':');
    moment.minute = scan.number(2);
    scan.mark(':');
    moment.second = scan.number(2);
    auto fraction = scan.fraction();
    scan.take('Z');
    if (!scan.good() || !scan.at_end() || month < 1 || month > 12 || day < 1 || day > 31 || !moment.valid()) return std::nullopt;
    moment.day = days_of(year, month, day);
    return moment.seconds() * second_ns + fraction;
}

Result<AccessLog, std::string> parse_access_log(std::string_view text, std::string_view name) {
    Collector collector(name);
    auto first = text.find_first_not_of(" \t\r\n");
    char mark = first == text.npos ? '\0' : text[first];
    auto wrong = mark == '[' ? take_array(collector, text, name) : take_lines(collector, text, name, mark == '{');
    if (!wrong.empty()) return wrong;
    return collector.finish();
}

}  // namespace entrepot::load
