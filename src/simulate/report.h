// Compares variants: as a table, as JSON, and as an SVG timeline.
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

// Sentences about the input that are needed to interpret the figures.
struct ReportHeader {
  std::string trace{};
  std::vector<std::string> remarks{};
};

nlohmann::json summary_json(const replay::Summary& summary);

std::string format_table(const ReportHeader& header, const std::vector<Variant>& variants);
std::string format_json(const ReportHeader& header, const std::vector<Variant>& variants);

// One panel per variant, one row per consumer with any activity.
std::string format_timeline_svg(const std::vector<Variant>& variants);

}  // namespace mgpu::simulate
