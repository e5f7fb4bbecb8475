// What an operator should know about a consumer and can mend: its command left the foreground, it computes on
// another device than it is bound to. Each topic has one text at a time, which stays in the status as long as
// it holds, and is reported for the log the first time, and after another text.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "domain/consumer.h"
#include "domain/device.h"
#include "registry/registry.h"

namespace mgpu::engine {

class ConsumerNotes {
 public:
  using Listener = std::function<void(ConsumerId, const std::string& text)>;

  // Called for each new text, and at once for those that hold.
  void set_listener(Listener listener);

  // Its command ended and left process `pid` in the background; 0: a new run begins.
  void set_background(ConsumerId consumer, int pid);
  // Why it may compute on other devices (runner::DeviceBinding::problem); empty: it can't.
  void set_binding(ConsumerId consumer, const std::string& problem);
  // It holds memory of these devices, to which it is not bound; empty: of none.
  void set_misplaced(const Registry& registry, ConsumerId consumer, const std::set<DeviceId>& found_on);

  std::vector<std::string> texts(ConsumerId consumer) const;

 private:
  enum class Topic : std::uint8_t { background, binding, misplaced };
  void set(ConsumerId consumer, Topic topic, std::string text);  // empty: it no longer holds

  struct Notes {
    std::map<Topic, std::string> present{};
    std::map<Topic, std::string> told{};
  };
  std::map<ConsumerId, Notes> notes_{};
  Listener listener_{};
};

}  // namespace mgpu::engine
