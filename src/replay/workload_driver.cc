#include "replay/workload_driver.h"

#include <utility>

namespace mgpu::replay {

WorkloadDriver::WorkloadDriver(VirtualClock& clock, const Workload& workload,
                               std::function<void(std::size_t, const FlowStep&)> on_arrival)
    : clock_(clock),
      open_flows_(workload.flows.size()),
      workload_(workload),
      on_arrival_(std::move(on_arrival)) {}

void WorkloadDriver::start() {
  for (std::size_t i = 0; i < workload_.flows.size(); ++i) {
    const Flow& flow = workload_.flows[i];
    if (flow.steps.empty()) {
      --open_flows_;
    } else {
      schedule({.flow = i}, flow.start + flow.steps.front().pause);
    }
  }
}

void WorkloadDriver::schedule(FlowPosition position, Instant when) {
  if (when > workload_.horizon) {
    --open_flows_;
  } else {
    clock_.schedule_at(when, [this, position] { arrive(position); });
  }
}

void WorkloadDriver::arrive(FlowPosition position) {
  const Flow& flow = workload_.flows[position.flow];
  const FlowStep& step = flow.steps[position.step];
  const std::size_t job = jobs_.size();
  jobs_.push_back({.consumer = step.consumer, .user = flow.user, .arrived = clock_.now(), .work = step.work});
  positions_.push_back(position);
  on_arrival_(job, step);
}

void WorkloadDriver::enter_line(std::size_t job, DeviceId line) {
  if (lines_.size() <= line.value) lines_.resize(line.value + 1);
  lines_[line.value].insert(job);
  positions_[job].line = line;
}

void WorkloadDriver::leave_line(std::size_t job) {
  if (positions_[job].line) lines_[positions_[job].line->value].erase(job);
}

void WorkloadDriver::job_started(std::size_t job) {
  const Instant now = clock_.now();
  jobs_[job].started = now;
  if (!positions_[job].line) return;
  leave_line(job);
  for (const std::size_t waiting : lines_[positions_[job].line->value]) {
    if (waiting >= job) break;
    Job& overtaken = jobs_[waiting];
    ++overtaken.times_overtaken;
    if (!overtaken.first_overtaken) overtaken.first_overtaken = now;
    overtaken.last_overtaken = now;
  }
}

void WorkloadDriver::job_ended(std::size_t job) {
  jobs_[job].ended = clock_.now();
  schedule_next_step(job);
}

void WorkloadDriver::job_refused(std::size_t job) {
  jobs_[job].refused = true;
  jobs_[job].ended = clock_.now();
  leave_line(job);
  schedule_next_step(job);
}

void WorkloadDriver::schedule_next_step(std::size_t job) {
  FlowPosition position = positions_[job];
  const Flow& flow = workload_.flows[position.flow];
  if (++position.step >= flow.steps.size()) {
    --open_flows_;
    return;
  }
  position.line.reset();
  schedule(position, clock_.now() + flow.steps[position.step].pause);
}

const FlowStep& WorkloadDriver::step_of(std::size_t job) const {
  const FlowPosition& position = positions_[job];
  return workload_.flows[position.flow].steps[position.step];
}

}  // namespace mgpu::replay
