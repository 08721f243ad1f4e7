#pragma once
// Questions that are on their way, by key: whoever asks the same meanwhile waits for the one answer. On one loop.

#include "entrepot/io/await.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace entrepot {

template <typename Answer>
class Flights {
  public:
    class Flight {
      public:
        /// Ends: whoever asks has deadlines.
        Task<Answer> landed() {
            while (!answer_) co_await ended_.wait();
            co_return *answer_;
        }

      private:
        friend class Flights;
        Condition ended_;
        std::optional<Answer> answer_;
    };
    using Pointer = std::shared_ptr<Flight>;

    /// Null when nobody asks.
    Pointer find(const std::string& key) const {
        auto found = running_.find(key);
        return found == running_.end() ? nullptr : found->second;
    }
    Pointer begin(const std::string& key) {
        auto flight = std::make_shared<Flight>();
        running_.emplace(key, flight);
        return flight;
    }
    void end(const std::string& key, const Pointer& flight, const Answer& answer) {
        running_.erase(key);
        flight->answer_.emplace(answer);
        flight->ended_.notify_all();
    }

  private:
    std::unordered_map<std::string, Pointer> running_;
};

}  // namespace entrepot
