// Reads files into the page cache before somebody needs them, without being in anybody's way: a thread of its
// own at idle I/O priority, piece by piece, one job after the other. The thread begins with the first job.
//
// Thread rule: all functions from one thread; nothing is called back.
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
  ~ReadAheadWorker();  // waits a second at most for the piece that is being read
  ReadAheadWorker(const ReadAheadWorker&) = delete;
  ReadAheadWorker& operator=(const ReadAheadWorker&) = delete;

  // Reads the files in this order, `limit_setting` bytes of them at most. `job` names it, for cancel(); a job
  // of that name that waits or runs already is replaced.
  void read(std::uint64_t job, std::vector<std::string> files, Bytes limit);
  void cancel(std::uint64_t job);

  bool is_idle() const;  // nothing waits or runs

 private:
  struct Job {
    std::uint64_t id = 0;
    std::vector<std::string> files{};
    Bytes limit{};
    std::stop_source stop{};
  };
  // Shared with the thread, which may hang in a dead network folder when we go.
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

// A quarter of what the kernel calls available (/proc/meminfo): what may be read ahead where nobody says.
Bytes quarter_of_available_memory();

}  // namespace mgpu::pagecache
