// For tests of runners: an event loop, and a run's exit as its on_exit callback reports it.
#pragma once

#include <optional>

#include "runner/runner.h"

#include "tests/event_loop_fixture.h"

namespace mgpu::runner {

class RunnerTest : public EventLoopTest {
 protected:
  // Options whose on_exit sets exit_status_.
  RunOptions options() {
    return {.log_lines = 5, .on_exit = [this](const ExitStatus& status) { exit_status_ = status; }};
  }

  std::optional<ExitStatus> exit_status_;
};

}  // namespace mgpu::runner
