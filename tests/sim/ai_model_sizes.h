// The true sizes of AI models in a simulation, and what is known of them in advance. A service may declare
// some of its AI models and leave others out, and may report sizes of its own, right or too small. The driver
// shows only the sum of all that a service has loaded.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/registry.h"

#include "random.h"

namespace mgpu::sim {

class AiModelSizes {
 public:
  // How a consumer's sizes are known. `true_percent`: the true size of what is declared, in percent of the
  // declaration.
  struct Knowledge {
    std::int64_t true_percent = 100;
    bool leaves_out = false;   // some of its AI models are not declared
    bool reports = false;      // its service reports what it has loaded
    bool understates = false;  // and reports too little
  };
  void add_consumer(Knowledge knowledge) { consumers_.push_back(knowledge); }

  // Call for each new resident in the order of their ids. `bytes`: the size that could be declared. Returns
  // the declared size; 0: none.
  Bytes add_resident(Random& random, ConsumerId consumer, Bytes bytes);

  Bytes true_bytes(ResidentId id) const { return residents_[id.value].bytes; }

  // What the service reports of a loaded AI model, if it does.
  std::optional<Bytes> report(Random& random, ResidentId id) const;

  // Whether the core can't know the size of the resident before it was measured.
  bool is_left_out(ResidentId id) const { return residents_[id.value].is_left_out; }

  // Whether the consumer takes more than it says, which the core can't know in advance.
  bool takes_more_than_known(ConsumerId consumer) const;

 private:
  struct Size {
    ConsumerId consumer{};
    Bytes bytes{};
    bool is_left_out = false;
  };
  std::vector<Knowledge> consumers_{};  // by ConsumerId
  std::vector<Size> residents_{};       // by ResidentId
};

// A description of what is wrong if the resident, of unknown size, is loaded now: idle residents that would
// have made room for it still hold memory. Empty: nothing.
std::string missing_room_for_unknown(const Registry& registry, ResidentId id, Instant now);

}  // namespace mgpu::sim
