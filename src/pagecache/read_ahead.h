// Reads files into the page cache before somebody needs them, without being in anybody's way: a thread of its
// own at idle I/O priority, piece by piece, one job after the other. The thread begins with the first job.
//
// Thread rule: all functions from one thread; nothing is called back.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace mgpu::pagecache {

class ReadAhead {
 public:
  ReadAhead() = default;
  ~ReadAhead();  // the piece that is being read is read to its end
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Reads the files in this order, `limit` bytes of them at most. `job` names it, for cancel(); a job of that
  // name that waits or runs already is replaced.
  void read(std::uint64_t job, std::vector<std::string> files, Bytes limit);
  void cancel(std::uint64_t job);

  bool idle() const;  // nothing waits or runs

 private:
  struct Job {
    std::uint64_t name = 0;
    std::vector<std::string> files{};
    Bytes limit{};
    std::stop_source stop{};
  };
  void run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  Job running_;
  bool busy_ = false;
  bool ending_ = false;
  std::thread thread_;
};

// A quarter of what the kernel calls available (/proc/meminfo): what may be read ahead where nobody says.
Bytes quarter_of_available_memory();

}  // namespace mgpu::pagecache
