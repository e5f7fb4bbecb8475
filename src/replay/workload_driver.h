// The people of a workload: they come, ask, and go on when what they asked for has ended. Beside it the
// ledger of what became of each job, kept in the same way whatever the rule that serves them.
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
  // `asks` is called for each job when it arrives. Workload and agenda must outlive the crowd.
  WorkloadDriver(VirtualClock& clock, const Workload& workload,
                 std::function<void(std::size_t job, const FlowStep& step)> on_arrival);

  void start();
  bool has_open_flows() const { return open_flows_ > 0; }

  // What the rule does with a job: it starts on a device, overtaking those that wait longer; or it never
  // does.
  void job_started(std::size_t job);
  void job_ended(std::size_t job);
  void job_refused(std::size_t job);

  // Where the job waits, so that overtaking is counted among those of one line; none: it stands in no line.
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
  std::vector<std::set<std::size_t>> lines_{};  // by DeviceId: jobs that wait; a job's number is its arrival
};

}  // namespace mgpu::replay
