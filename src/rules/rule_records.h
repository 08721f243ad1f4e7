#pragma once
// The texts that look-ups compare and return, a record for each rule, one after the other. A CacheRule keeps them in strings of
// its own, and a look-up among 100,000 of those would wait for memory five times; a record is one or two cache lines.

#include "entrepot/rules/cache_rule.h"

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace entrepot {

struct RuleRecord {
    std::uint32_t rule = 0;  ///< its number
    bool wildcard = false;
    std::string_view target_path, login_server, source_path;  ///< as of CacheRule; views into the records
};

class RuleRecords {
  public:
    /// The place of the new record. Views handed out before end here.
    std::uint32_t add(std::uint32_t rule, const CacheRule& text) {
        const std::size_t place = bytes_.size();
        const Head head{rule, length(text.target_path()), length(text.login_server()), length(text.source_path()),
                        text.wildcard()};
        bytes_.resize(place + sizeof head);
        std::memcpy(bytes_.data() + place, &head, sizeof head);
        for (const std::string_view part : {text.target_path(), text.login_server(), text.source_path()}) {
            bytes_.insert(bytes_.end(), part.begin(), part.end());
        }
        return static_cast<std::uint32_t>(place);
    }

    RuleRecord at(std::uint32_t place) const noexcept {
        Head head;
        std::memcpy(&head, bytes_.data() + place, sizeof head);
        const char* const text = bytes_.data() + place + sizeof head;
        return {head.rule,
                head.wildcard,
                {text, head.target_bytes},
                {text + head.target_bytes, head.login_server_bytes},
                {text + head.target_bytes + head.login_server_bytes, head.source_bytes}};
    }

  private:
    struct Head {
        std::uint32_t rule;
        std::uint16_t target_bytes, login_server_bytes, source_bytes;
        bool wildcard;
    };
    static std::uint16_t length(std::string_view text) noexcept { return static_cast<std::uint16_t>(text.size()); }

    std::vector<char> bytes_;  // at most 800 bytes a rule, so that places fit 32 bits for a million rules
};

}  // namespace entrepot
