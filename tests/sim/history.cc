#include "history.h"

#include <rapidcheck.h>

#include "simulation.h"

namespace mgpu::sim {

History some_history() {
  const auto seed = *rc::gen::noShrink(rc::gen::inRange<std::uint64_t>(0, 1'000'000)).as("seed");
  History history = live(seed).scenario;
  const auto events = *rc::gen::inRange<std::size_t>(0, history.events.size() + 1).as("events");
  history.events.resize(events);
  return history;
}

}  // namespace mgpu::sim
