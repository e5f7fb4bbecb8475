#include "tests/gpu/step_result.h"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace mgpu::gpu_check {

using nlohmann::json;

namespace {

// Two decimals, or four of what is less than one: more would be noise.
double rounded(double value) {
  const double scale = std::abs(value) < 1 ? 1e4 : 1e2;
  return std::round(value * scale) / scale;
}

// Of sorted values: the smallest one that at least this part of all does not exceed.
double percentile(const std::vector<double>& sorted, double part) {
  const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

std::string to_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.dump();
}

// A pipe or a line end would break the table.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find_first_of("|\n", at)) != text.npos; ++at) text[at] = ' ';
  return text;
}

}  // namespace

std::string& rows_file() {
  static std::string file;
  return file;
}

json read_rows(const std::string& file) {
  json rows = json::array();
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (json row = json::parse(line, nullptr, false); row.is_object()) rows.push_back(std::move(row));
  return rows;
}

void StepResult::add(const std::string& what, json value, const std::string& unit) {
  if (value.is_number_float()) value = rounded(value.get<double>());
  rows.push_back({{"what", what}, {"value", std::move(value)}, {"unit", unit}});
  if (!rows_file().empty()) std::ofstream(rows_file(), std::ios::app) << rows.back().dump() << "\n";
}

double to_mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

json to_json(const std::string& step, double seconds, const StepResult& result) {
  return {{"step", step},
          {"outcome", result.outcome},
          {"why", result.why},
          {"seconds", rounded(seconds)},
          {"rows", result.rows}};
}

void add_times(StepResult& result, const std::string& what, std::vector<double> milliseconds) {
  const auto unseen = std::erase_if(milliseconds, [](double time) { return time == kNeverSeen; });
  std::ranges::sort(milliseconds);
  result.add(what + ": tries", milliseconds.size() + unseen);
  if (unseen > 0) result.add(what + ": never seen", unseen);
  if (milliseconds.empty()) return;
  result.add(what + ": median", percentile(milliseconds, 0.5), "ms");
  result.add(what + ": p95", percentile(milliseconds, 0.95), "ms");
  result.add(what + ": max", milliseconds.back(), "ms");
}

std::string to_markdown(const json& record) {
  std::string text = "# mGPUmanager on a real GPU\n\nAt " + record["at"].get<std::string>() + ", in " +
                     to_text(rounded(record["seconds"].get<double>())) + " s" +
                     (record["quick"].get<bool>() ? ", with --quick: few tries and small amounts" : "") +
                     ".\n\n";
  for (const json& step : record["steps"]) {
    text += "## " + step["step"].get<std::string>() + ": " + step["outcome"].get<std::string>();
    if (!step["why"].get<std::string>().empty()) text += ", " + cell(step["why"].get<std::string>());
    text += "\n\n";
    if (step["rows"].empty()) continue;
    text += "| what | figure |\n|---|---|\n";
    for (const json& row : step["rows"]) {
      const std::string unit = row["unit"].get<std::string>();
      text += "| " + cell(row["what"].get<std::string>()) + " | " + cell(to_text(row["value"])) +
              (unit.empty() ? "" : " " + unit) + " |\n";
    }
    text += "\n";
  }
  return text;
}

}  // namespace mgpu::gpu_check
