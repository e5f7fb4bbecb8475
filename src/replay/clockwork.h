// Virtual time, and the physics that every rule meets alike: a device whose jobs share its speed, and host
// memory that keeps weights for a while.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <queue>
#include <vector>

#include "domain/resident.h"

namespace mgpu::replay {

// What will happen when. Things of one instant happen in the order in which they were put down.
class Agenda {
 public:
  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> act);
  void after(Duration delay, std::function<void()> act) { at(now_ + delay, std::move(act)); }
  bool empty() const { return items_.empty(); }
  void next();  // REQUIRES: not empty

 private:
  struct Item {
    Instant at{};
    std::uint64_t order = 0;
    std::function<void()> act{};
  };
  struct Later {
    bool operator()(const Item& a, const Item& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  Instant now_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Item, std::vector<Item>, Later> items_{};
};

// A device at work. Jobs that compute at once share its speed equally (processor sharing): two of them take
// twice as long each. Real batching inside one service does better, so this is the cautious model.
class Processor {
 public:
  Processor(Agenda& agenda, std::function<void(std::size_t job)> done);

  void start(std::size_t job, Duration work);
  std::size_t at_work() const { return running_.size(); }

 private:
  struct Running {
    std::size_t job = 0;
    double left_us = 0;  // of its work
  };
  void catch_up();
  void plan_next();
  void finish(std::uint64_t plan);

  Agenda& agenda_;
  std::function<void(std::size_t)> done_;
  std::vector<Running> running_{};
  Instant as_of_{};
  std::uint64_t plan_ = 0;  // the completion that counts; those planned before are void
};

// The page cache: weights that were read stay until others need the room, the least recently read first.
class PageCache {
 public:
  explicit PageCache(Bytes size) : size_(size) {}
  bool holds(ResidentId resident) const;
  void read(ResidentId resident, Bytes weights);

 private:
  struct Kept {
    ResidentId resident{};
    Bytes weights{};
  };
  Bytes size_;
  Bytes used_{};
  std::list<Kept> kept_{};  // the most recently read first
};

}  // namespace mgpu::replay
