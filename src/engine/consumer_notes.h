// What an operator should know about a consumer and can mend: its command left the foreground, it computes on
// another device than it is bound to. Each topic has one text at a time, which stays in the status as long as
// it holds, and is reported for the log the first time, and after another text.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "domain/consumer.h"

namespace mgpu::engine {

class ConsumerNotes {
 public:
  enum class Topic : std::uint8_t { background, binding, misplaced };
  using Listener = std::function<void(ConsumerId, const std::string& text)>;

  // Called for each new text, and at once for those that hold.
  void set_listener(Listener listener);
  void set(ConsumerId consumer, Topic topic, std::string text);  // empty: it no longer holds
  std::vector<std::string> texts(ConsumerId consumer) const;

 private:
  struct Notes {
    std::map<Topic, std::string> present{};
    std::map<Topic, std::string> told{};
  };
  std::map<ConsumerId, Notes> notes_{};
  Listener listener_{};
};

}  // namespace mgpu::engine
