// Explanations and prospects as people read them. Made from the same values as their JSON.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "explain/explanation.h"
#include "explain/prospect.h"

namespace mgpu::explain {

// How ids and instants are called.
struct Naming {
  const Registry& registry;
  const std::deque<JournalEntry>& journal;
  std::function<std::string(Instant)> time{};  // of day
};

std::vector<std::string> sentences(const Explanation& explanation, const Naming& naming);
std::vector<std::string> sentences(const Prospect& prospect, const Naming& naming);

// "12.3 s", "450 ms".
std::string readable(Duration duration);

}  // namespace mgpu::explain
