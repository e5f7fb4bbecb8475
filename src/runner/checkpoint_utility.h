// The actions of NVIDIA's utility cuda-checkpoint (driver 550 and later), which handles one process per call.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runner/checkpoint_actions.h"

namespace mgpu::runner {

class CheckpointUtility final : public CheckpointActions {
 public:
  explicit CheckpointUtility(std::string path) : path_(std::move(path)) {}

  Result<std::string> query_state(int pid, Duration limit) override;
  Result<void> run_action(std::string_view action, int pid, Duration limit) override;
  bool only_toggles() override;
  Result<void> toggle(int pid, Duration limit) override;

 private:
  // The first line of its output.
  Result<std::string> run(const std::vector<std::string>& options, int pid, Duration limit);

  std::string path_;
};

}  // namespace mgpu::runner
