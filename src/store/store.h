// The daemon's persistent state: learned costs of residents, started processes, history of jobs. One SQLite
// file, used by one daemon at a time.
//
// Thread rule: call it from one thread. The store's own thread does all file access, so that a slow disk does
// not block the caller. Writes are queued (bounded) and written in batches, each in one transaction; a write
// that fails does not affect the others. The caller waits only for the record of a started process, which
// must be in the file before the daemon can die. That takes a write into the page cache and no flush (WAL):
// after a power cut the processes are gone as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/resident.h"

namespace mgpu::store {

// Learned costs are valid for the settings under which they were measured.
struct LearnedRow {
  std::string consumer{};
  std::string ai_model{};
  std::string settings{};  // fingerprint of all settings that affect its memory
  LearnedCosts learned{};
};

// One job, from its arrival to its end.
struct JobRow {
  std::uint64_t ticket = 0;
  std::string consumer{};  // empty: a bare lease
  std::string ai_model{};
  std::string who{};
  std::int64_t arrived_us = 0;  // since 1970
  Duration waited{0};
  Duration loading{0};
  Duration run_time{0};
  std::string outcome{};  // "done", or the code of the error that ended it
};

// A process started by the daemon, with enough data to identify it and to detect a reused pid.
struct ProcessRow {
  std::string consumer{};
  int pid = 0;
  std::uint64_t start_time = 0;     // clock ticks since boot
  std::string boot{};               // id of the boot
  std::uint16_t port = 0;           // 0: none
  std::string settings{};           // fingerprint of the settings it was started with
  std::string device{};             // UUID of its device; empty: recorded by an older mgpu
  bool settled = false;             // none of its residents was being loaded, evicted or parked
  std::vector<std::string> warm{};  // AI models that were in device memory
  // The daemon that started or adopted it; 0: recorded by an older mgpu.
  int owner = 0;
  std::uint64_t owner_start_time = 0;
};

class Store {
 public:
  struct Options {
    std::string path{};
    std::uint32_t history_rows = 50'000;
    // Called on the store's thread when a write fails, and again only after a write has succeeded. May be
    // empty.
    std::function<void(const std::string&)> on_write_error{};
  };
  struct OpenResult {
    std::unique_ptr<Store> store{};
    std::string warning{};  // for the log: a damaged file was renamed, another daemon uses a deleted file
  };

  // Creates the file and its folder (readable only by this user) if they are missing. Symbolic links are
  // resolved, so that all paths to one file share one lock. A damaged file is renamed to PATH.damaged, and a
  // new one is created. Errors: invalid_config (written by a newer mgpu or another program), busy (another
  // mgpu uses it), unavailable (no permission, no space).
  static Result<OpenResult> open(Options options);
  ~Store();  // writes all queued rows first
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& path() const;  // without symbolic links

  // The epoch of this start, for the numbers of its tickets: none that it returned before, in any life of the
  // store; the first is 0. Returns once it is written. Error: unavailable (it can't be written within a
  // second): then the number may come back, and must not be used.
  Result<std::uint64_t> begin_epoch();

  // If reading fails, these return the rows read until then: the daemon can run with incomplete data.
  std::vector<LearnedRow> read_learned();
  std::vector<ProcessRow> read_processes();
  std::vector<JobRow> read_jobs(std::size_t count);  // the newest, newest first

  void save_learned(LearnedRow row);
  void forget_learned(const std::string& consumer);  // deletes all its learned rows
  void add_job(JobRow row);

  // Returns once the row is written, after one second, or after a failed attempt; further attempts follow.
  void save_process(const ProcessRow& row);
  void update_process(const std::string& consumer, bool settled, std::vector<std::string> warm);
  void remove_process(const std::string& consumer);

  void flush();  // returns once all queued rows are written

 private:
  struct Worker;
  explicit Store(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace mgpu::store
