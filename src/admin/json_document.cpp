#include "entrepot/admin/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace entrepot {
namespace {

using nlohmann::json;

/// Walks a document without keeping it and finds what nlohmann would let pass. The names of the objects that are open are kept, so memory follows the text.
class Examiner {
  public:
    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(json::number_integer_t) { return true; }
    bool number_unsigned(json::number_unsigned_t) { return true; }
    bool number_float(json::number_float_t, const json::string_t&) { return true; }
    bool string(json::string_t&) { return true; }
    bool binary(json::binary_t&) { return true; }
    bool start_object(std::size_t) {
        names_.emplace_back();
        return deeper();
    }
    bool key(json::string_t& name) {
        return names_.back().insert(std::move(name)).second || refuse("has a name twice in one object");
    }
    bool end_object() {
        names_.pop_back();
        --depth_;
        return true;
    }
    bool start_array(std::size_t) { return deeper(); }
    bool end_array() {
        --depth_;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const json::exception&) {
        position_ = position;
        return refuse("is not JSON");
    }

    const char* reason() const noexcept { return reason_; }
    std::size_t position() const noexcept { return position_; }

  private:
    bool deeper() { return ++depth_ <= json_depth_max || refuse("is nested too deeply"); }
    bool refuse(const char* reason) {
        reason_ = reason;
        return false;
    }

    std::vector<std::set<std::string>> names_;
    std::size_t depth_ = 0, position_ = 0;
    const char* reason_ = nullptr;
};

std::string place(std::string_view text, std::size_t position) {
    auto before = text.substr(0, position > 0 ? position - 1 : 0);
    auto line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
    auto column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    return fmt::format("line {}, column {}", line, column);
}

}  // namespace

Result<json, std::string> parse_json_strictly(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) return std::string("begins with a byte order mark");
    // nlohmann takes a NUL behind the document for its end.
    if (auto nul = text.find('\0'); nul != text.npos) return fmt::format("is not JSON ({})", place(text, nul + 1));
    Examiner examiner;
    if (!json::sax_parse(text, &examiner)) {
        // Only a fault of syntax says where it stands.
        if (examiner.position() == 0) return std::string(examiner.reason());
        return fmt::format("{} ({})", examiner.reason(), place(text, examiner.position()));
    }
    return json::parse(text, nullptr, false);
}

namespace {

/// ASCII by now, and outside of strings none of these occurs.
std::string without_markup(std::string_view text) {
    std::string safe;
    safe.reserve(text.size() + 1);
    for (char c : text) {
        switch (c) {
            case '<': safe += "\\u003c"; break;
            case '>': safe += "\\u003e"; break;
            case '&': safe += "\\u0026"; break;
            case '\x7f': safe += "\\u007f"; break;
            default: safe += c;
        }
    }
    return safe;
}

}  // namespace

std::string write_json(const json& document) {
    return without_markup(document.dump(-1, ' ', true, json::error_handler_t::replace));
}

std::string write_json(const nlohmann::ordered_json& document) {
    return without_markup(document.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace entrepot
