// Virtual time, and the parts of the machine model that every policy shares: a device whose jobs share its
// speed, and the page cache.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <queue>
#include <vector>

#include "domain/resident.h"

namespace mgpu::replay {

// A clock with timers. Timers of the same time run in the order in which they were scheduled.
class VirtualClock {
 public:
  Instant now() const { return now_; }
  void schedule_at(Instant when, std::function<void()> callback);
  void schedule_after(Duration delay, std::function<void()> callback) {
    schedule_at(now_ + delay, std::move(callback));
  }
  bool empty() const { return timers_.empty(); }
  void run_next();  // REQUIRES: not empty

 private:
  struct Timer {
    Instant at{};
    std::uint64_t sequence = 0;
    std::function<void()> callback{};
  };
  struct Later {
    bool operator()(const Timer& a, const Timer& b) const {
      return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }
  };
  Instant now_{};
  std::uint64_t sequence_ = 0;
  std::priority_queue<Timer, std::vector<Timer>, Later> timers_{};
};

// A device on which concurrent jobs share the speed equally (processor sharing): each of two jobs takes twice
// as long. Batching inside a real service is faster, so this model is conservative.
class SharedProcessor {
 public:
  SharedProcessor(VirtualClock& clock, std::function<void(std::size_t job)> on_done);

  void start(std::size_t job, Duration work);
  std::size_t running_count() const { return running_.size(); }

 private:
  struct RunningJob {
    std::size_t job = 0;
    double remaining_us = 0;  // work in microseconds
  };
  void update_progress();
  void schedule_completion();
  void complete(std::uint64_t generation);

  VirtualClock& clock_;
  std::function<void(std::size_t)> on_done_;
  std::vector<RunningJob> running_{};
  Instant updated_at_{};
  std::uint64_t generation_ = 0;  // of the latest scheduled completion; earlier ones are ignored
};

// A page cache of weights with least-recently-read replacement.
class PageCache {
 public:
  explicit PageCache(Bytes capacity) : capacity_(capacity) {}
  bool contains(ResidentId resident) const;
  void read(ResidentId resident, Bytes weights);

 private:
  struct CachedWeights {
    ResidentId resident{};
    Bytes weights{};
  };
  Bytes capacity_;
  Bytes used_{};
  std::list<CachedWeights> entries_{};  // most recently read first
};

}  // namespace mgpu::replay
