#include "replay/crowd.h"

#include <utility>

namespace mgpu::replay {

Crowd::Crowd(Agenda& agenda, const Workload& workload, std::function<void(std::size_t, const Step&)> asks)
    : agenda_(agenda), flows_left_(workload.flows.size()), workload_(workload), asks_(std::move(asks)) {}

void Crowd::begin() {
  for (std::size_t i = 0; i < workload_.flows.size(); ++i) {
    const Flow& flow = workload_.flows[i];
    if (flow.steps.empty()) {
      --flows_left_;
    } else {
      schedule({.flow = i}, flow.start + flow.steps.front().pause);
    }
  }
}

void Crowd::schedule(At at, Instant when) {
  if (when > workload_.horizon) {
    --flows_left_;
  } else {
    agenda_.at(when, [this, at] { arrive(at); });
  }
}

void Crowd::arrive(At at) {
  const Flow& flow = workload_.flows[at.flow];
  const Step& step = flow.steps[at.step];
  const std::size_t job = jobs_.size();
  jobs_.push_back(
      {.consumer = step.consumer, .user = flow.user, .arrived = agenda_.now(), .work = step.work});
  places_.push_back(at);
  asks_(job, step);
}

void Crowd::waits_in(std::size_t job, DeviceId line) {
  if (lines_.size() <= line.value) lines_.resize(line.value + 1);
  lines_[line.value].insert(job);
  places_[job].line = line;
}

void Crowd::leave_line(std::size_t job) {
  if (places_[job].line) lines_[places_[job].line->value].erase(job);
}

void Crowd::started(std::size_t job) {
  const Instant now = agenda_.now();
  jobs_[job].started = now;
  if (!places_[job].line) return;
  leave_line(job);
  for (const std::size_t waiting : lines_[places_[job].line->value]) {
    if (waiting >= job) break;
    Job& passed = jobs_[waiting];
    ++passed.overtaken;
    if (!passed.first_overtaken) passed.first_overtaken = now;
    passed.last_overtaken = now;
  }
}

void Crowd::ended(std::size_t job) {
  jobs_[job].ended = agenda_.now();
  go_on(job);
}

void Crowd::refused(std::size_t job) {
  jobs_[job].refused = true;
  jobs_[job].ended = agenda_.now();
  leave_line(job);
  go_on(job);
}

void Crowd::go_on(std::size_t job) {
  At at = places_[job];
  const Flow& flow = workload_.flows[at.flow];
  if (++at.step >= flow.steps.size()) {
    --flows_left_;
    return;
  }
  at.line.reset();
  schedule(at, agenda_.now() + flow.steps[at.step].pause);
}

const Step& Crowd::step_of(std::size_t job) const {
  const At& at = places_[job];
  return workload_.flows[at.flow].steps[at.step];
}

}  // namespace mgpu::replay
