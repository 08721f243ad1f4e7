#include "load/tally.h"

#include "entrepot/base/assert.h"

namespace entrepot::load {

std::string_view name_of(Kind kind) noexcept {
    constexpr std::string_view names[kinds] = {"url", "base", "manifest_head", "manifest_get", "blob", "login"};
    return names[static_cast<std::size_t>(kind)];
}

std::string_view name_of(Trouble trouble) noexcept {
    constexpr std::string_view names[troubles] = {
        "refused", "descriptors", "tls",   "timeout",      "reset",        "closed",       "short_body",  "bad_message",
        "status",  "redirect",    "login", "wrong_digest", "wrong_length", "bad_manifest", "no_platform", "not_finished"};
    return names[static_cast<std::size_t>(trouble)];
}

void Tally::count_from(Instant start) noexcept {
    start_ = start;
    series_.start_at(start);
}

void Tally::add_bytes(std::uint64_t bytes, Instant time) noexcept {
    if (!counts(time)) return;
    bytes_ += bytes;
    series_.at(time).bytes += bytes;
}

void Tally::answered(const Answered& answer) noexcept {
    ASSERT(answer.status < statuses);
    if (!counts(answer.ended)) return;
    auto& kind = by_kind_[static_cast<std::size_t>(answer.kind)];
    ++kind.completed;
    kind.bytes += answer.bytes;
    kind.first_byte.add(answer.first_byte - answer.due);
    kind.whole.add(answer.ended - answer.due);
    ++by_status_[answer.status];
    ++series_.at(answer.ended).requests;
    last_ended_ = std::max(last_ended_, answer.ended - start_);
}

void Tally::failed(Trouble trouble, std::uint16_t status, Instant time, std::uint64_t count) noexcept {
    errors_ += count;
    by_trouble_[static_cast<std::size_t>(trouble)] += count;
    if (status > 0 && status < statuses) by_status_[status] += count;
    if (counts(time)) series_.at(time).errors += count;
}

void Tally::pulled(Instant due, Instant ended) noexcept {
    if (counts(ended)) pull_times_.add(ended - due);
}

KindTally Tally::all() const {
    KindTally sum;
    for (std::size_t index = 0; index < kinds; ++index) {
        if (static_cast<Kind>(index) == Kind::login) continue;
        sum.completed += by_kind_[index].completed;
        sum.bytes += by_kind_[index].bytes;
        sum.first_byte.add(by_kind_[index].first_byte);
        sum.whole.add(by_kind_[index].whole);
    }
    return sum;
}

std::uint64_t Tally::completed() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& kind : by_kind_) sum += kind.completed;
    return sum - of(Kind::login).completed;
}

void Tally::add(const Tally& other) {
    last_ended_ = std::max(last_ended_, other.last_ended_);
    asked_within = std::max(asked_within, other.asked_within);
    errors_ += other.errors_;
    bytes_ += other.bytes_;
    pulls_failed_ += other.pulls_failed_;
    for (std::size_t status = 0; status < statuses; ++status) by_status_[status] += other.by_status_[status];
    for (std::size_t trouble = 0; trouble < troubles; ++trouble) by_trouble_[trouble] += other.by_trouble_[trouble];
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        by_kind_[kind].completed += other.by_kind_[kind].completed;
        by_kind_[kind].bytes += other.by_kind_[kind].bytes;
        by_kind_[kind].first_byte.add(other.by_kind_[kind].first_byte);
        by_kind_[kind].whole.add(other.by_kind_[kind].whole);
    }
    pull_times_.add(other.pull_times_);
    series_.add(other.series_);
    for (auto member : {&Tally::connections, &Tally::verified, &Tally::resumed, &Tally::retried, &Tally::redirected,
                        &Tally::idle_opened, &Tally::idle_closed})
        this->*member += other.*member;
}

}  // namespace entrepot::load
