// The people of a workload: they come, ask, and go on when what they asked for has ended. Beside it the
// ledger of what became of each job, kept in the same way whatever the rule that serves them.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <vector>

#include "replay/clockwork.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::replay {

class Crowd {
 public:
  // `asks` is called for each job when it arrives. Workload and agenda must outlive the crowd.
  Crowd(Agenda& agenda, const Workload& workload,
        std::function<void(std::size_t job, const Step& step)> asks);

  void begin();
  bool somebody_left() const { return flows_left_ > 0; }

  // What the rule does with a job: it starts on a device, overtaking those that wait longer; or it never
  // does.
  void started(std::size_t job);
  void ended(std::size_t job);
  void refused(std::size_t job);

  // Where the job waits, so that overtaking is counted among those of one line; none: it stands in no line.
  void waits_in(std::size_t job, DeviceId line);

  const Step& step_of(std::size_t job) const;
  std::vector<Job>& jobs() { return jobs_; }

 private:
  struct At {
    std::size_t flow = 0;
    std::size_t step = 0;
    std::optional<DeviceId> line{};
  };
  void schedule(At at, Instant when);
  void arrive(At at);
  void go_on(std::size_t job);
  void leave_line(std::size_t job);

  Agenda& agenda_;
  std::size_t flows_left_;
  const Workload& workload_;
  std::function<void(std::size_t, const Step&)> asks_;
  std::vector<Job> jobs_{};
  std::vector<At> places_{};                    // by job
  std::vector<std::set<std::size_t>> lines_{};  // by DeviceId: jobs that wait; a job's number is its arrival
};

}  // namespace mgpu::replay
