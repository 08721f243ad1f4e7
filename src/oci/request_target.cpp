#include "entrepot/oci/request_target.h"

#include <cstring>

namespace entrepot {

namespace {

constexpr TargetError no_such_path{OciCode::unsupported, 404, "the registry API has no such path"};
constexpr TargetError bad_repository{OciCode::name_invalid, 400, "the repository name is not valid"};
constexpr TargetError bad_digest{OciCode::digest_invalid, 400,
                                 "the digest is malformed, or its algorithm is neither sha256 nor sha512"};
constexpr TargetError bad_tag{OciCode::manifest_unknown, 404, "the reference is neither a tag nor a digest"};
constexpr TargetError bad_n{OciCode::pagination_number_invalid, 400, "n is not a number, or is given twice"};
constexpr TargetError bad_last{OciCode::name_invalid, 400, "last is not a name, or is given twice"};
constexpr TargetError bad_ns{OciCode::name_invalid, 400, "ns is not a login server (host or host:port), or is given twice"};
constexpr TargetError bad_artifact_type{OciCode::unsupported, 400, "artifactType is not a media type, or is given twice"};

using MaybeError = std::optional<TargetError>;

// The text before and after the last '/'. glibc's memrchr looks at 32 bytes a step; string_view::rfind at one.
struct Split {
    std::string_view before;
    std::string_view after;
    bool found = false;
};
Split split_at_last_slash(std::string_view text) noexcept {
    if (text.empty()) return {};  // its pointer may be null, which memrchr does not take
    const void* slash = memrchr(text.data(), '/', text.size());
    if (!slash) return {.after = text};
    const auto at = static_cast<std::size_t>(static_cast<const char*>(slash) - text.data());
    return {text.substr(0, at), text.substr(at + 1), true};
}

MaybeError take_repository(std::string_view text, RequestTarget& parsed) noexcept {
    if (!is_repository(text)) return bad_repository;
    parsed.repository = text;
    return std::nullopt;
}

MaybeError take_digest(std::string_view text, RequestTarget& parsed) noexcept {
    parsed.digest = Digest::parse(text);
    return parsed.digest ? MaybeError() : bad_digest;
}

// A tag cannot contain ':' and a digest must, so nothing is both.
MaybeError take_reference(std::string_view text, RequestTarget& parsed) noexcept {
    if (text.find(':') != std::string_view::npos) return take_digest(text, parsed);
    if (!is_tag(text)) return bad_tag;
    parsed.tag = text;
    return std::nullopt;
}

MaybeError take_content(TargetKind kind, std::string_view repository, std::string_view reference,
                        RequestTarget& parsed) noexcept {
    parsed.kind = kind;
    if (auto error = take_repository(repository, parsed)) return error;
    switch (kind) {
        case TargetKind::manifest: return take_reference(reference, parsed);
        case TargetKind::blob:
        case TargetKind::referrers: return take_digest(reference, parsed);
        default: return std::nullopt;
    }
}

// Repositories may have components named manifests, blobs, tags or uploads. What a path asks is decided by its last components
// alone, and what stands before them is the repository.
MaybeError take_path(std::string_view path, RequestTarget& parsed) noexcept {
    parsed.path = path;
    if (path == "/v2/" || path == "/v2") return std::nullopt;
    if (!path.starts_with("/v2/")) return no_such_path;
    const std::string_view rest = path.substr(4);
    if (rest == "_catalog") {
        parsed.kind = TargetKind::catalog;
        return std::nullopt;
    }
    const auto [front, last, found] = split_at_last_slash(rest);
    if (!found) return no_such_path;
    const auto [repository, word, _] = split_at_last_slash(front);
    if (word == "blobs") return take_content(last == "uploads" ? TargetKind::upload : TargetKind::blob, repository, last, parsed);
    if (word == "manifests") return take_content(TargetKind::manifest, repository, last, parsed);
    if (word == "tags" && last == "list") return take_content(TargetKind::tags_list, repository, last, parsed);
    if (word == "referrers") return take_content(TargetKind::referrers, repository, last, parsed);
    const auto [owner, parent, deep] = split_at_last_slash(repository);
    if (deep && word == "uploads" && parent == "blobs") return take_content(TargetKind::upload, owner, last, parsed);
    return no_such_path;
}

int hex_value(char digit) noexcept {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

constexpr bool is_printable(int character) noexcept { return character > 0x20 && character < 0x7f; }

}  // namespace

/// Walks the pairs of one query and decodes the values that we use.
class QueryReader {
  public:
    QueryReader(std::string_view query, QueryScratch& scratch, RequestTarget& parsed) noexcept
        : rest_(query), scratch_(scratch), parsed_(parsed) {}

    MaybeError read_all() noexcept {
        while (!rest_.empty()) {
            const std::size_t end = rest_.find('&');
            const std::string_view pair = rest_.substr(0, end);
            rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
            const std::size_t equals = pair.find('=');
            const std::string_view value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
            if (auto error = take(pair.substr(0, equals), value)) return error;
        }
        return std::nullopt;
    }

  private:
    enum Key : unsigned { key_ns = 1, key_n = 2, key_last = 4, key_artifact_type = 8 };

    MaybeError take(std::string_view key, std::string_view value) noexcept {
        if (key == "ns") return take_ns(value);
        if (key == "n") return take_n(value);
        if (key == "last") return take_text(key_last, value, parsed_.last) ? MaybeError() : bad_last;
        if (key == "artifactType") {
            return take_text(key_artifact_type, value, parsed_.artifact_type) ? MaybeError() : bad_artifact_type;
        }
        return std::nullopt;
    }

    bool first_time(Key key) noexcept {
        const bool first = !(seen_ & key);
        seen_ |= key;
        return first;
    }

    MaybeError take_ns(std::string_view value) noexcept {
        std::string_view text;
        if (!take_text(key_ns, value, text)) return bad_ns;
        if (text.empty()) return std::nullopt;
        text = lower_case(text);
        if (!is_login_server(text)) return bad_ns;
        parsed_.ns = text;
        return std::nullopt;
    }

    MaybeError take_n(std::string_view value) noexcept {
        if (!first_time(key_n) || value.empty()) return bad_n;
        std::uint32_t number = 0;
        for (const char digit : value) {
            if (digit < '0' || digit > '9') return bad_n;
            number = number * 10 + static_cast<std::uint32_t>(digit - '0');
            if (number > page_entries_max) number = page_entries_max;  // stays there: more digits only mean more
        }
        parsed_.n = number;
        return std::nullopt;
    }

    // '+' stays '+': none of our values can hold a space, and media types hold a '+' that many clients do not escape.
    bool take_text(Key key, std::string_view value, std::string_view& text) noexcept {
        if (!first_time(key)) return false;
        char* const start = scratch_.bytes_.data() + used_;
        std::size_t length = 0;
        for (std::size_t i = 0; i < value.size(); ++i) {
            int character = static_cast<unsigned char>(value[i]);
            if (character == '%') {
                if (i + 2 >= value.size()) return false;
                const int high = hex_value(value[i + 1]), low = hex_value(value[i + 2]);
                if (high < 0 || low < 0) return false;
                character = high << 4 | low;
                i += 2;
            }
            if (!is_printable(character) || length == QueryScratch::value_bytes_max) return false;
            start[length++] = static_cast<char>(character);
        }
        text = {start, length};
        used_ += length;
        return true;
    }

    // `text` is the value decoded last, so it may be changed in place.
    std::string_view lower_case(std::string_view text) noexcept {
        char* const start = scratch_.bytes_.data() + used_ - text.size();
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (start[i] >= 'A' && start[i] <= 'Z') start[i] = static_cast<char>(start[i] - 'A' + 'a');
        }
        return text;
    }

    std::string_view rest_;
    QueryScratch& scratch_;
    RequestTarget& parsed_;
    std::size_t used_ = 0;
    unsigned seen_ = 0;
};

Result<RequestTarget, TargetError> parse_request_target(std::string_view path, std::string_view query,
                                                        QueryScratch& scratch) noexcept {
    RequestTarget parsed;
    if (auto error = take_path(path, parsed)) return *error;
    QueryReader reader(query, scratch, parsed);
    if (auto error = reader.read_all()) return *error;
    return parsed;
}

}  // namespace entrepot
