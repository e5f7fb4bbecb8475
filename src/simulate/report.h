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
  replay::Machine machine{};
  replay::Outcome outcome{};
};

// What a reader must know to judge the figures, in sentences.
struct ReportHeader {
  std::string trace{};
  std::vector<std::string> remarks{};
};

nlohmann::json summary_json(const replay::Summary& summary);

std::string format_table(const ReportHeader& header, const std::vector<Variant>& variants);
std::string format_json(const ReportHeader& header, const std::vector<Variant>& variants);

// One panel for each variant, one lane for each consumer that did anything.
std::string format_timeline_svg(const std::vector<Variant>& variants);

}  // namespace mgpu::simulate
