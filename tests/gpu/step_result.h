// What one step of the GPU check found: figures, and how it ended.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace mgpu::gpu_check {

struct StepResult {
  std::string outcome = "ok";  // ok, skipped, failed
  std::string why{};           // unless ok
  nlohmann::json rows = nlohmann::json::array();

  // One line of the record: "NVML shows for the child", 812, "MiB". It is also appended to rows_file(), so
  // that what was found is kept when the step does not come to its end.
  void add(const std::string& what, nlohmann::json value, const std::string& unit = "");
  void fail(std::string reason) { outcome = "failed", why = std::move(reason); }
  void skip(std::string reason) { outcome = "skipped", why = std::move(reason); }
};

// Where the rows of this process' step are written as they are found; empty: nowhere.
std::string& rows_file();
nlohmann::json read_rows(const std::string& file);

nlohmann::json to_json(const std::string& step, double seconds, const StepResult& result);

inline constexpr double kNeverSeen = -1;  // instead of a time

// Number of tries, median, 95th percentile and maximum as rows in ms; those that were never seen are counted.
void add_times(StepResult& result, const std::string& what, std::vector<double> milliseconds);

// The record of all steps as Markdown: a table for each.
std::string to_markdown(const nlohmann::json& record);

double to_mib(std::uint64_t bytes);

}  // namespace mgpu::gpu_check
