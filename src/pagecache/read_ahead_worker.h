// Reads files into the page cache before they are needed, in a thread of its own with idle I/O priority, in
// chunks, one job after the other. The thread starts with the first job.
//
// Thread rule: call all functions from one thread. There are no callbacks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu::pagecache {

class ReadAheadWorker {
 public:
  ReadAheadWorker() = default;
  ~ReadAheadWorker();  // waits at most one second for the current chunk
  ReadAheadWorker(const ReadAheadWorker&) = delete;
  ReadAheadWorker& operator=(const ReadAheadWorker&) = delete;

  // Starts job `job`: reads the files in this order, at most `limit` bytes in all. Replaces a job with the
  // same id that waits or runs.
  void read(std::uint64_t job, std::vector<std::string> files, Bytes limit);
  void cancel(std::uint64_t job);

  bool is_idle() const;  // no job waits or runs

 private:
  struct Job {
    std::uint64_t id = 0;
    std::vector<std::string> files{};
    Bytes limit{};
    std::stop_source stop{};
  };
  // Shared with the thread, which may hang in an unreachable network folder after this object is destroyed.
  struct State {
    void run();

    std::mutex mutex{};
    std::condition_variable changed{};
    std::deque<Job> waiting{};
    Job running{};
    bool busy = false;
    bool stopping = false;
    bool finished = false;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  bool started_ = false;
};

// A quarter of MemAvailable in /proc/meminfo, the default of limits.prefetch_memory.
Bytes quarter_of_available_memory();

}  // namespace mgpu::pagecache
