#include "entrepot/oci/tags_list.h"

#include "entrepot/oci/name.h"

#include "oci/json_text.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace entrepot {

namespace {

constexpr int list_depth_max = 32;

}  // namespace

// Receives the parser's events and takes the strings of the top-level member "tags".
class TagsReader {
  public:
    explicit TagsReader(TagSet& set) : set_(set) {}

    bool null() { return value_of_other_type(); }
    bool boolean(bool) { return value_of_other_type(); }
    bool number_integer(std::int64_t) { return value_of_other_type(); }
    bool number_unsigned(std::uint64_t) { return value_of_other_type(); }
    bool number_float(double, const std::string&) { return value_of_other_type(); }
    bool binary(std::vector<std::uint8_t>&) { return false; }

    bool string(std::string& value) {
        if (!is_tag(value)) return value_of_other_type();
        if (!in_tags()) return depth_ > 0;
        if (set_.spans_.size() == tags_max) return fail(ListFault::too_many);
        set_.spans_.push_back({static_cast<std::uint32_t>(set_.text_.size()), static_cast<std::uint32_t>(value.size())});
        set_.text_.insert(set_.text_.end(), value.begin(), value.end());
        return true;
    }

    bool key(std::string& name) {
        at_tags_ = depth_ == 1 && name == "tags";
        if (!at_tags_) return true;
        return ++tags_members_ == 1;
    }
    bool start_object(std::size_t) { return enter(); }
    bool end_object() { return leave(); }
    bool start_array(std::size_t) {
        if (depth_ == 0) return false;
        list_depth_ = at_tags_ ? depth_ + 1 : list_depth_;
        return enter();
    }
    bool end_array() {
        if (depth_ == list_depth_) list_depth_ = 0;
        return leave();
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) { return false; }

    std::optional<ListFault> finish(bool complete) const {
        if (fault_) return fault_;
        if (!complete || tags_members_ != 1) return ListFault::not_json;
        return std::nullopt;
    }

  private:
    bool in_tags() const noexcept { return list_depth_ != 0 && depth_ == list_depth_; }
    bool enter() {
        if (in_tags()) ++set_.left_out_;
        at_tags_ = false;
        return ++depth_ <= list_depth_max;
    }
    bool leave() {
        --depth_;
        return true;
    }
    bool fail(ListFault fault) {
        fault_ = fault;
        return false;
    }
    bool value_of_other_type() {
        if (in_tags()) ++set_.left_out_;
        return depth_ > 0;  // the document itself must be an object
    }

    TagSet& set_;
    int depth_ = 0;
    int list_depth_ = 0;    // the depth inside the array of tags while we are in it, else 0
    bool at_tags_ = false;  // the next value belongs to "tags"
    int tags_members_ = 0;
    std::optional<ListFault> fault_;
};

std::string_view name_of(ListFault fault) noexcept {
    switch (fault) {
        case ListFault::not_json: return "is not the JSON of the distribution spec";
        case ListFault::too_large: return "is too large";
        case ListFault::too_many: return "has too many entries";
    }
    return "is refused";
}

Result<void, ListFault> TagSet::add_page(std::string_view json) {
    if (json.size() > tags_list_bytes_max) return ListFault::too_large;
    const std::size_t text_before = text_.size(), spans_before = spans_.size(), left_out_before = left_out_;
    stale_ = true;  // even a page that is refused may have moved the text
    TagsReader reader(*this);
    const bool complete = nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
    if (const auto fault = reader.finish(complete)) {
        text_.resize(text_before);
        spans_.resize(spans_before);
        left_out_ = left_out_before;
        return *fault;
    }
    return {};
}

std::span<const std::string_view> TagSet::names() {
    if (!stale_) return names_;
    names_.clear();
    names_.reserve(spans_.size());
    for (const Span span : spans_) names_.emplace_back(text_.data() + span.offset, span.length);
    // Registries answer in order, nearly always; then this is one pass.
    if (!std::is_sorted(names_.begin(), names_.end())) std::sort(names_.begin(), names_.end());
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
    stale_ = false;
    return names_;
}

std::string tags_list_body(std::string_view repository, std::span<const std::string_view> tags) {
    std::string body = "{\"name\":";
    append_plain_json_string(body, repository);
    body.append(",\"tags\":");
    append_json_names(body, tags);
    body.push_back('}');
    return body;
}

}  // namespace entrepot
