// Explanations and what-if results as English sentences, from the same values as their JSON.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "explain/explanation.h"
#include "explain/what_if.h"

namespace mgpu::explain {

// What is needed to print ids as names, and instants as times of day.
struct FormatContext {
  const Registry& registry;
  const JournalEntries& journal;
  std::function<std::string(Instant)> time{};
};

std::vector<std::string> format_sentences(const Explanation& explanation, const FormatContext& context);
std::vector<std::string> format_sentences(const WhatIf& what_if_result, const FormatContext& context);

// "12.3 s", "450 ms".
std::string format_duration(Duration duration);

}  // namespace mgpu::explain
