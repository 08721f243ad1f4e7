#pragma once
// The rules of a box while they change, one at a time: what may stand beside what, answered in logarithmic time however many there are.
// The same truth table as RuleTable's, which is built of list() for look-ups; this one is for the operator's side and belongs to one thread.

#include "entrepot/rules/rule_table.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

class RuleBook {
  public:
    explicit RuleBook(RuleTable::Options options) : options_(std::move(options)) {}

    struct Conflict {
        enum class Kind : std::uint8_t { name_taken, target_taken, overlap, too_many };
        Kind kind;
        std::string message;  ///< names both rules, and says what to do
    };
    /// Why `rule` cannot be added to what is here.
    std::optional<Conflict> conflict_of(const CacheRule& rule) const;

    /// There must be no conflict. `place` orders rules of the file by their order there; those of the API come after them, by name.
    void add(std::shared_ptr<const CacheRule> rule, std::uint32_t place = place_of_api);
    /// Its place, for who puts it back; nothing when there is none of that name.
    std::optional<std::uint32_t> remove(std::string_view name);

    std::shared_ptr<const CacheRule> find(std::string_view name) const;
    std::size_t size() const noexcept { return by_place_.size(); }
    RuleList list() const;
    /// By name, after `name`, at most `count_max`; valid until the book changes.
    std::vector<const RuleText*> after(std::string_view name, std::size_t count_max) const;
    const RuleTable::Options& options() const noexcept { return options_; }

    /// What stands beside `rule` in allowed ways and is worth knowing, a sentence each, at most notes_max: the wildcard that it is an exception of, the exceptions
    /// inside it, and who else has its source.
    std::vector<std::string> notes_about(const CacheRule& rule) const;
    static constexpr std::size_t notes_max = 10;
    static constexpr std::uint32_t place_of_api = UINT32_MAX;

  private:
    using Place = std::pair<std::uint32_t, std::string_view>;                  // and the name
    using ByPath = std::map<std::string_view, const CacheRule*, std::less<>>;  // keys are views into the rules
    using BySource = std::multimap<std::string_view, const CacheRule*, std::less<>>;

    const CacheRule* wildcard_around(const CacheRule& rule) const;
    static const CacheRule* first_inside(const ByPath& rules, const CacheRule& outer);

    RuleTable::Options options_;
    std::map<Place, std::shared_ptr<const CacheRule>> by_place_;
    std::map<std::string_view, std::uint32_t, std::less<>> places_;  // by name
    ByPath statics_, wildcards_;                                     // by target path
    BySource by_source_;                                             // by the source's text
};

}  // namespace entrepot
