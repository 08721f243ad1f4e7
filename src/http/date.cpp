#include "entrepot/http/date.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::array<std::string_view, 7> weekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                      "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t day_seconds = 24 * 60 * 60;
constexpr std::int64_t last_second = 253402300799;  // 9999-12-31 23:59:59

// Takes what it expects off the front; the first surprise makes it bad, and it stays so.
class Cursor {
  public:
    explicit Cursor(std::string_view text) : rest_(text) {}

    void literal(std::string_view text) {
        if (rest_.starts_with(text)) rest_.remove_prefix(text.size());
        else fail();
    }

    int number(std::size_t digits) {
        const std::string_view text = rest_.substr(0, digits);
        const auto value = text.size() == digits ? scan::parse_decimal(text) : std::nullopt;
        if (!value) {
            fail();
            return 0;
        }
        rest_.remove_prefix(digits);
        return static_cast<int>(*value);
    }

    /// "06", or " 6" as asctime pads.
    int padded_number() {
        if (!rest_.starts_with(' ')) return number(2);
        literal(" ");
        return number(1);
    }

    unsigned month() {
        const auto found = std::find(months.begin(), months.end(), rest_.substr(0, 3));
        if (found == months.end()) {
            fail();
            return 1;
        }
        rest_.remove_prefix(3);
        return static_cast<unsigned>(found - months.begin()) + 1;
    }

    bool is_good_and_used_up() const { return is_good_ && rest_.empty(); }

  private:
    void fail() {
        is_good_ = false;
        rest_ = {};
    }
    std::string_view rest_;
    bool is_good_ = true;
};

struct Fields {
    int year = 0;
    unsigned month = 1;
    int day = 1;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

void read_time(Cursor& cursor, Fields& out) {
    out.hour = cursor.number(2);
    cursor.literal(":");
    out.minute = cursor.number(2);
    cursor.literal(":");
    out.second = cursor.number(2);
}

std::optional<std::int64_t> seconds_of(const Fields& fields) noexcept {
    using namespace std::chrono;
    const year_month_day date{year{fields.year}, month{fields.month}, day{static_cast<unsigned>(fields.day)}};
    // 60 is a leap second; it reads as the first of the next minute.
    if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) return std::nullopt;
    const std::int64_t days = sys_days{date}.time_since_epoch().count();
    return days * day_seconds + fields.hour * 3600 + fields.minute * 60 + fields.second;
}

int year_of(std::int64_t seconds) noexcept {
    using namespace std::chrono;
    const sys_days date{days{std::clamp<std::int64_t>(seconds, 0, last_second) / day_seconds}};
    return static_cast<int>(year_month_day{date}.year());
}

// RFC 9110: two digits mean a year that is at most 50 years ahead, else the latest past one that ends so.
int expand_year(int two_digits, std::int64_t now_seconds) noexcept {
    const int this_year = year_of(now_seconds);
    const int year = this_year / 100 * 100 + two_digits;
    return year > this_year + 50 ? year - 100 : year;
}

// "06 Nov 1994 08:49:37 GMT", behind the weekday.
std::optional<std::int64_t> parse_imf_date(std::string_view text) noexcept {
    Cursor cursor(text);
    Fields fields;
    fields.day = cursor.number(2);
    cursor.literal(" ");
    fields.month = cursor.month();
    cursor.literal(" ");
    fields.year = cursor.number(4);
    cursor.literal(" ");
    read_time(cursor, fields);
    cursor.literal(" GMT");
    return cursor.is_good_and_used_up() ? seconds_of(fields) : std::nullopt;
}

// "06-Nov-94 08:49:37 GMT"
std::optional<std::int64_t> parse_rfc850_date(std::string_view text, std::int64_t now_seconds) noexcept {
    Cursor cursor(text);
    Fields fields;
    fields.day = cursor.number(2);
    cursor.literal("-");
    fields.month = cursor.month();
    cursor.literal("-");
    fields.year = expand_year(cursor.number(2), now_seconds);
    cursor.literal(" ");
    read_time(cursor, fields);
    cursor.literal(" GMT");
    return cursor.is_good_and_used_up() ? seconds_of(fields) : std::nullopt;
}

// "Nov  6 08:49:37 1994"
std::optional<std::int64_t> parse_asctime_date(std::string_view text) noexcept {
    Cursor cursor(text);
    Fields fields;
    fields.month = cursor.month();
    cursor.literal(" ");
    fields.day = cursor.padded_number();
    cursor.literal(" ");
    read_time(cursor, fields);
    cursor.literal(" ");
    fields.year = cursor.number(4);
    return cursor.is_good_and_used_up() ? seconds_of(fields) : std::nullopt;
}

void put_number(char* at, std::int64_t number, int digits) noexcept {
    for (int i = digits - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
}

}  // namespace

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now_seconds) noexcept {
    for (std::string_view weekday : weekdays) {
        if (!text.starts_with(weekday.substr(0, 3))) continue;
        const std::string_view behind_short = text.substr(3);
        if (behind_short.starts_with(", ")) return parse_imf_date(behind_short.substr(2));
        if (behind_short.starts_with(' ')) return parse_asctime_date(behind_short.substr(1));
        if (!text.starts_with(weekday)) return std::nullopt;
        const std::string_view behind_long = text.substr(weekday.size());
        return behind_long.starts_with(", ") ? parse_rfc850_date(behind_long.substr(2), now_seconds) : std::nullopt;
    }
    return std::nullopt;
}

std::array<char, http_date_bytes> format_http_date(std::int64_t seconds) noexcept {
    using namespace std::chrono;
    seconds = std::clamp<std::int64_t>(seconds, 0, last_second);
    const sys_days date{days{seconds / day_seconds}};
    const year_month_day civil{date};
    const std::int64_t second_of_day = seconds % day_seconds;

    std::array<char, http_date_bytes> text;
    constexpr std::string_view form = "Thu, 01 Jan 1970 00:00:00 GMT";
    static_assert(form.size() == http_date_bytes);
    std::copy(form.begin(), form.end(), text.begin());
    const std::string_view weekday = weekdays[std::chrono::weekday{date}.c_encoding()];
    std::copy_n(weekday.begin(), 3, text.begin());
    put_number(&text[5], static_cast<unsigned>(civil.day()), 2);
    const std::string_view month = months[static_cast<unsigned>(civil.month()) - 1];
    std::copy_n(month.begin(), 3, &text[8]);
    put_number(&text[12], static_cast<int>(civil.year()), 4);
    put_number(&text[17], second_of_day / 3600, 2);
    put_number(&text[20], second_of_day / 60 % 60, 2);
    put_number(&text[23], second_of_day % 60, 2);
    return text;
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::int64_t now_seconds,
                                                      std::chrono::seconds max) noexcept {
    std::uint64_t wait = 0;
    if (scan::is_number(value)) {
        wait = scan::parse_decimal(value).value_or(UINT64_MAX);
    } else {
        const auto date = parse_http_date(value, now_seconds);
        if (!date) return std::nullopt;
        wait = *date > now_seconds ? static_cast<std::uint64_t>(*date) - static_cast<std::uint64_t>(now_seconds) : 0;
    }
    const auto bound = static_cast<std::uint64_t>(std::max<std::int64_t>(max.count(), 0));
    return std::chrono::seconds(static_cast<std::int64_t>(std::min(wait, bound)));
}

}  // namespace entrepot
