// What the daemon knows from its earlier lives: what residents cost, which processes it started, who worked
// when. One SQLite file, which belongs to one daemon at a time.
//
// Thread rule: call it from one thread. A thread of the store's own does all reading and writing of the file,
// so that a slow disk holds up nobody: writes are queued (bounded) and go out together a moment later, in one
// transaction; one that can't be written is dropped alone. Only the record of a started process is waited
// for, because it must be there before the daemon can die; that takes a write into the page cache, no flush
// to the disk (WAL; what a power cut loses of it has no process any more).
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

// What was learned is true for the settings that it was learned under.
struct LearnedRow {
  std::string consumer{};
  std::string ai_model{};
  std::string settings{};  // fingerprint of what changes its memory
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

// A process of ours that runs: enough to know it again, and to tell it from a later one with its number.
struct ProcessRow {
  std::string consumer{};
  int pid = 0;
  std::uint64_t start_time = 0;     // clock ticks since boot
  std::string boot{};               // which boot
  std::uint16_t port = 0;           // 0: none was chosen
  std::string settings{};           // fingerprint of what it was started with
  std::string device{};             // UUID of the one it was placed on; empty: recorded before anybody asked
  bool settled = false;             // nothing of it was being loaded, evicted, or parked
  std::vector<std::string> warm{};  // AI models that were in device memory
  // The daemon that started or adopted it; 0: recorded by an mgpu that did not say.
  int owner = 0;
  std::uint64_t owner_start_time = 0;
};

class Store {
 public:
  struct Options {
    std::string path{};
    std::uint32_t history_rows = 50'000;
    // Told from the store's thread when writing fails, once until it works again. May be empty.
    std::function<void(const std::string&)> on_write_error{};
  };
  struct OpenResult {
    std::unique_ptr<Store> store{};
    std::string warning{};  // what people should know: a damaged file was set aside
  };

  // Creates file and folder where they are missing (for us alone to read). A symbolic link is followed: it is
  // the same store, with the same lock. A damaged file is renamed to
  // PATH.damaged, and a new one begun. Errors: invalid_config (newer than this mgpu, of another program),
  // busy (another mgpu has it), unavailable (no permission, no space).
  static Result<OpenResult> open(Options options);
  ~Store();  // what is queued is written first
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& path() const;  // without symbolic links

  // The epoch of this start, for the numbers of its tickets: none that it returned before, in any life of the
  // store; the first is 0. Returns once it is written. Error: unavailable (it can't be written within a
  // second): then the number may come back, and must not be used.
  Result<std::uint64_t> begin_epoch();

  // Errors of reading give what was read so far: a daemon that remembers less is better than none.
  std::vector<LearnedRow> read_learned();
  std::vector<ProcessRow> read_processes();
  std::vector<JobRow> read_jobs(std::size_t count);  // the newest, newest first

  void save_learned(LearnedRow row);
  void forget_learned(const std::string& consumer);  // all that was learned of it
  void add_job(JobRow row);

  // Returns once it is written, or after a second, or if it failed: then it is tried again.
  void save_process(const ProcessRow& row);
  void update_process(const std::string& consumer, bool settled, std::vector<std::string> warm);
  void remove_process(const std::string& consumer);

  void flush();  // returns once all that is queued is written

 private:
  struct Worker;
  explicit Store(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace mgpu::store
