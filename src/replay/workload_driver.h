// Drives a workload: submits the jobs of its flows at their times, and records what becomes of each job, in
// the same way for every policy.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "replay/outcome.h"
#include "replay/virtual_time.h"
#include "replay/workload.h"

namespace mgpu::replay {

class WorkloadDriver {
 public:
  // `on_arrival` is called for each job when it arrives. `clock` and `workload` must outlive the driver.
  WorkloadDriver(VirtualClock& clock, const Workload& workload,
                 std::function<void(std::size_t job, const FlowStep& step)> on_arrival);

  void start();
  bool has_open_flows() const { return open_flows_ > 0; }

  // To be called by the policy. A start overtakes the jobs that arrived earlier and wait in the same line.
  void job_started(std::size_t job);
  void job_ended(std::size_t job);
  void job_refused(std::size_t job);

  // The job waits in this line. Jobs without a line neither overtake nor are overtaken.
  void enter_line(std::size_t job, DeviceId line);

  const FlowStep& step_of(std::size_t job) const;
  std::vector<Job>& jobs() { return jobs_; }

 private:
  struct FlowPosition {
    std::size_t flow = 0;
    std::size_t step = 0;
    std::optional<DeviceId> line{};
  };
  void schedule(FlowPosition position, Instant when);
  void arrive(FlowPosition position);
  void schedule_next_step(std::size_t job);
  void leave_line(std::size_t job);

  VirtualClock& clock_;
  std::size_t open_flows_;
  const Workload& workload_;
  std::function<void(std::size_t, const FlowStep&)> on_arrival_;
  std::vector<Job> jobs_{};
  std::vector<FlowPosition> positions_{};       // by job
  std::vector<std::set<std::size_t>> lines_{};  // by DeviceId: waiting jobs; job numbers ascend by arrival
};

}  // namespace mgpu::replay
