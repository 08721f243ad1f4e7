#pragma once
// What somebody on this shard is doing for all who want the same: opening a stored blob, bringing one of its chunks into memory. A crowd waits for the one, instead of doing it
// once for each: 64 clients of a blob that was not open opened it 64 times and read and summed every chunk 64 times. One shard only.

#include "entrepot/io/await.h"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

namespace entrepot {

class UnderWay {
  public:
    /// For as long as it lives, or until end(), its key is under way; unless it was before.
    class One {
      public:
        One(UnderWay& all, std::uint64_t key) : all_(all), key_(key) {
            auto [place, first] = all.under_way_.try_emplace(key);
            if (first) place->second = std::make_shared<Condition>();
            mine_ = first;
        }
        ~One() { end(); }
        One(const One&) = delete;
        One& operator=(const One&) = delete;

        /// Who waits goes on. Also by the destructor.
        void end() noexcept {
            if (!std::exchange(mine_, false)) return;
            auto ended = all_.under_way_.extract(key_);
            ended.mapped()->notify_all();
        }

      private:
        UnderWay& all_;
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
