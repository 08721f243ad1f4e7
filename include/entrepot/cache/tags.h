#pragma once
// What a tag points to, and how fresh that knowledge is, for the tags of one owner shard. A tag younger than the rule's tag_ttl is answered from memory or the ledger; older, it is
// asked upstream by HEAD, once for everybody. When upstream does not answer, or says no, the old answer is served for as long as the asker's rule allows after a failure of that
// class (stale.h), and says that it is stale. Nobody whose rule allows an old answer waits longer than `revalidation_wait` for a tag that we have.
//
// Old tags never come at once: each has its own share of the tag_ttl, pauses are of different length, and few are asked for at a time, so that after a restart neither an
// upstream nor those who pull what is not here feel how many there are. While next to nothing is left of upstream's rate limit they are served stale unasked.

#include "entrepot/cache/manifests.h"
#include "entrepot/cache/stale.h"

namespace entrepot {

/// How an answer came about: the value of X-Entrepot-Cache.
enum class Served : std::uint8_t { hit, follow, fetch, revalidated, stale, bypass };
std::string_view name_of(Served served) noexcept;

struct TagAnswer {
    TagRecord record;
    Served served = Served::hit;
    Duration fresh_for{0};                   ///< how long this answer may be repeated without asking again
    std::optional<ManifestContent> fetched;  ///< when upstream had to be asked for the manifest itself
};

/// How long upstream's answer for a tag is believed: nine to ten tenths of what the rule says, always the same for one tag.
Duration tag_life(const Source& source, const std::string& tag) noexcept;

class Tags {
  public:
    static constexpr Duration revalidation_wait = seconds(1);
    static constexpr Duration missing_kept = seconds(10);  ///< a 404 is remembered so long
    static constexpr std::size_t missing_max = 4096;
    static constexpr Duration retry_pause = seconds(10);  ///< after a failed revalidation, at least; up to a quarter more
    static constexpr std::size_t revalidations_max =
        32;  ///< of an upstream at a time, half of them of one client: at most half of its exchanges; the rest waits, or is served stale
    static constexpr std::size_t revalidations_waiting_max = 16384;
    static constexpr Duration turn_wait =
        milliseconds(900);  ///< for a place among them: less than the askers wait, so that they hear of it
    static constexpr Duration refresh_turn_wait = seconds(60);  ///< the same of refresh_now()

    /// Stores a manifest on the shard that owns its digest.
    using Keep = std::function<Task<void>(Source, ManifestContent)>;

    Tags(FetchTools& tools, Manifests& manifests, Keep keep) noexcept
        : tools_(tools), manifests_(manifests), keep_(std::move(keep)) {}

    Task<Fetched<TagAnswer>> resolve(Source source, std::string tag);
    /// Asks upstream now, however young the tag is, or joins a question that is on its way; in turn with other revalidations. Never a stale
    /// answer. When it returns, the ledger has what upstream said: whoever resolves the tag from then on gets that.
    Task<Fetched<TagAnswer>> refresh_now(Source source, std::string tag);
    /// Waits for revalidations that nobody waits for any more.
    Task<void> close();

  private:
    /// One question and what came of it, as upstream said it: what a failure lets through each asker judges by his own rule.
    struct Refresh {
        std::shared_ptr<Askers> askers;
        Condition ended;
        Instant started{}, turn_until{};
        std::optional<Fetched<TagAnswer>> outcome;
    };
    struct Pause {
        Instant until;
        FailureClass failure;
    };

    std::optional<TagRecord> find_known(const Source& source, const std::string& tag) const;
    std::shared_ptr<Refresh> begin_refresh(const Source& source, const std::string& tag, const std::string& key,
                                           std::optional<TagRecord> known, Duration turn_wait_max);
    Task<void> refresh(Source source, std::string tag, std::string key, std::optional<TagRecord> known,
                       std::shared_ptr<Refresh> shared);
    Task<Fetched<TagAnswer>> ask_in_turn(const Source& source, const std::string& tag, const std::optional<TagRecord>& known,
                                         const Refresh& asked);
    Task<Fetched<TagAnswer>> ask(const Source& source, const std::string& tag, const std::optional<TagRecord>& known,
                                 const std::shared_ptr<Askers>& askers);
    Task<std::optional<Digest>> ask_head(const Source& source, const std::string& tag, Askers& askers,
                                         std::optional<UpstreamFailure>& failure);
    void remember_missing(const std::string& key, const UpstreamFailure& failure);
    const UpstreamFailure* find_missing(const std::string& key);
    std::optional<TagAnswer> answer_in_pause(const Source& source, const std::string& key, const TagRecord& known) const;
    std::optional<TagAnswer> after_failure(const Source& source, const std::string& key, const TagRecord& known,
                                           const UpstreamFailure& failure);
    static TagAnswer stale_answer(const TagRecord& record, Duration fresh_for);

    struct Missing {
        UpstreamFailure failure;
        Instant until;
    };
    FetchTools& tools_;
    Manifests& manifests_;
    Keep keep_;
    std::unordered_map<std::string, std::shared_ptr<Refresh>> refreshing_;
    std::unordered_map<std::string, Missing> missing_;
    std::unordered_map<std::string, Pause> pauses_;  ///< no revalidation before: upstream failed just now
    std::unordered_map<const UpstreamSpec*, std::unique_ptr<FairSlots>> turns_;
    FairSlotCounters turn_counters_;
    Instant silent_until_{};
    TaskGroup background_;
};

}  // namespace entrepot
