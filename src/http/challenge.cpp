#include "entrepot/http/challenge.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), scan::to_lower);
    return out;
}

// Reads one line. The grammar is ambiguous by design (a comma separates both parameters and challenges), so a word is
// judged by what follows it: '=' makes it a parameter, anything else the scheme of the next challenge.
class ChallengeLine {
  public:
    ChallengeLine(std::string_view line, std::vector<Challenge>& out) : rest_(line), out_(out) {}

    void read() {
        while (skip_separators()) {
            if (is_behind_scheme_ && take_token68()) continue;
            const std::string_view word = take(scan::span_of(rest_, scan::token_char));
            if (word.empty()) {
                skip_junk();
            } else if (!take_equals()) {
                start_challenge(word);
            } else if (!take_value(word)) {
                return;
            }
        }
    }

  private:
    std::string_view take(std::size_t bytes) {
        const std::string_view taken = rest_.substr(0, bytes);
        rest_.remove_prefix(taken.size());
        return taken;
    }
    std::size_t blanks() const { return std::min(rest_.find_first_not_of(" \t"), rest_.size()); }

    bool skip_separators() {
        const std::size_t bytes = std::min(rest_.find_first_not_of(" \t,"), rest_.size());
        if (rest_.substr(0, bytes).find(',') != std::string_view::npos) is_behind_scheme_ = false;
        take(bytes);
        return !rest_.empty();
    }

    // What is neither word nor separator: dropped up to the next comma or blank, so one bad value spoils nothing else.
    void skip_junk() {
        is_behind_scheme_ = false;
        take(std::min(rest_.find_first_of(" \t,", 1), rest_.size()));
    }

    // Only a run that ends at a comma or the end of the line is a token68; "realm=x" and "Bearer realm" are not.
    bool take_token68() {
        is_behind_scheme_ = false;
        std::size_t bytes = scan::span_of(rest_, scan::token68_char);
        if (bytes == 0) return false;
        bytes = std::min(rest_.find_first_not_of('=', bytes), rest_.size());
        const std::size_t next = rest_.find_first_not_of(" \t", bytes);
        if (next != std::string_view::npos && rest_[next] != ',') return false;
        const std::string_view token68 = take(bytes);
        if (current_ != nullptr) current_->token68 = token68;
        return true;
    }

    void start_challenge(std::string_view scheme) {
        current_ = nullptr;
        is_behind_scheme_ = true;
        if (out_.size() == challenges_max) return;
        current_ = &out_.emplace_back();
        current_->scheme = lower_case(scheme);
    }

    bool take_equals() {
        const std::size_t at = blanks();
        if (at == rest_.size() || rest_[at] != '=') return false;
        take(at + 1);
        take(blanks());
        return true;
    }

    // False when a quoted value does not end: the rest of the line is then part of it and means nothing.
    bool take_value(std::string_view name) {
        std::string value;
        if (rest_.starts_with('"')) {
            if (!take_quoted(value)) return false;
        } else {
            value = take(std::min(rest_.find_first_of(" \t,"), rest_.size()));
        }
        if (current_ != nullptr && current_->params.size() < challenge_params_max) {
            current_->params.emplace_back(lower_case(name), std::move(value));
        }
        return true;
    }

    bool take_quoted(std::string& value) {
        for (std::size_t at = 1; at < rest_.size(); ++at) {
            if (rest_[at] == '"') {
                take(at + 1);
                return true;
            }
            if (rest_[at] == '\\' && ++at == rest_.size()) return false;
            value += rest_[at];
        }
        return false;
    }

    std::string_view rest_;
    std::vector<Challenge>& out_;
    Challenge* current_ = nullptr;  // null before the first, and past the bound
    bool is_behind_scheme_ = false;
};

}  // namespace

std::optional<std::string_view> Challenge::param(std::string_view name) const noexcept {
    for (const auto& [known, value] : params)
        if (known == name) return value;
    return std::nullopt;
}

std::vector<Challenge> parse_challenges(FieldValues www_authenticate) {
    std::vector<Challenge> out;
    out.reserve(challenges_max);  // ChallengeLine keeps a pointer into it
    std::size_t bytes = 0;
    for (std::string_view line : www_authenticate) {
        bytes += line.size();
        if (bytes > challenge_bytes_max) break;
        ChallengeLine(line, out).read();
    }
    return out;
}

const Challenge* find_challenge(const std::vector<Challenge>& challenges, std::string_view scheme) noexcept {
    for (const Challenge& challenge : challenges)
        if (challenge.scheme == scheme) return &challenge;
    return nullptr;
}

}  // namespace entrepot
