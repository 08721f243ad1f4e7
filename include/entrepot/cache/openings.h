#pragma once
// What is being opened on this shard, so that a crowd who wants a stored blob that was not open waits for one descriptor and one copy of its sums, instead of opening it once
// for each. With 64 clients every chunk of it was read and summed 64 times.

#include "entrepot/io/await.h"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

namespace entrepot {

class Openings {
  public:
    /// One that is under way, unless the same was under way before.
    class Opening {
      public:
        Opening(Openings& all, std::uint64_t key) : all_(all), key_(key) {
            auto [place, first] = all.under_way_.try_emplace(key);
            if (first) place->second = std::make_shared<Condition>();
            mine_ = first;
        }
        ~Opening() { end(); }
        Opening(const Opening&) = delete;
        Opening& operator=(const Opening&) = delete;

        /// Who waits goes on. Also by the destructor.
        void end() noexcept {
            if (!std::exchange(mine_, false)) return;
            auto ended = all_.under_way_.extract(key_);
            ended.mapped()->notify_all();
        }

      private:
        Openings& all_;
        std::uint64_t key_;
        bool mine_ = false;
    };

    /// Notified when it ends; null when nothing of that key is under way.
    std::shared_ptr<Condition> find(std::uint64_t key) const {
        auto found = under_way_.find(key);
        return found == under_way_.end() ? nullptr : found->second;
    }

  private:
    std::unordered_map<std::uint64_t, std::shared_ptr<Condition>> under_way_;
};

}  // namespace entrepot
