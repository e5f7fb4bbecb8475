// Variants side by side: as a table for people, as JSON, and as a timeline in SVG.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/summary.h"

namespace mgpu::simulate {

struct Variant {
  std::string name{};  // "affinity, overtake_limit=5s"
  replay::Machine house{};
  replay::Outcome outcome{};
};

// What a reader must know to judge the figures, in sentences.
struct Told {
  std::string trace{};
  std::vector<std::string> remarks{};
};

nlohmann::json figures_json(const replay::Summary& figures);

std::string show_table(const Told& told, const std::vector<Variant>& variants);
std::string show_json(const Told& told, const std::vector<Variant>& variants);

// One panel for each variant, one lane for each consumer that did anything.
std::string show_timeline(const std::vector<Variant>& variants);

}  // namespace mgpu::simulate
