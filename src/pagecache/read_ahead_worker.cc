#include "pagecache/read_ahead_worker.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mgpu::pagecache {
namespace {

constexpr std::int64_t kChunkBytes = 8 << 20;
constexpr std::chrono::seconds kStopTimeout{1};

// From <linux/ioprio.h>, which is not installed everywhere.
constexpr int kIoPriorityOfThread = 1;  // IOPRIO_WHO_PROCESS; id 0 is the calling thread
constexpr int kIdleClass = 3 << 13;     // IOPRIO_CLASS_IDLE

void lower_io_priority() { ::syscall(SYS_ioprio_set, kIoPriorityOfThread, 0, kIdleClass); }

// Requests a chunk and waits until it is read, by reading its last byte.
bool read_chunk(int file, std::int64_t at, std::int64_t count) {
  ::posix_fadvise(file, at, count, POSIX_FADV_WILLNEED);
  char last = 0;
  return ::pread(file, &last, 1, at + count - 1) == 1;
}

// Reads one file, at most `limit` bytes of it. Returns the number of bytes read.
std::int64_t read_file(const std::string& path, std::int64_t limit, const std::stop_token& stop) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return 0;
  struct stat facts{};
  const bool regular = ::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
  const std::int64_t end = regular ? std::min<std::int64_t>(facts.st_size, limit) : 0;
  std::int64_t at = 0;
  while (at < end && !stop.stop_requested()) {
    const std::int64_t count = std::min(kChunkBytes, end - at);
    if (!read_chunk(file, at, count)) break;
    at += count;
  }
  ::close(file);
  return at;
}

}  // namespace

ReadAheadWorker::~ReadAheadWorker() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->waiting.clear();
  state_->running.stop.request_stop();
  state_->changed.notify_all();
  if (started_) state_->changed.wait_for(lock, kStopTimeout, [this] { return state_->finished; });
}

void ReadAheadWorker::read(std::uint64_t job, std::vector<std::string> files, Bytes limit) {
  cancel(job);
  if (files.empty() || limit <= Bytes{}) return;
  {
    const std::lock_guard lock(state_->mutex);
    state_->waiting.push_back({.id = job, .files = std::move(files), .limit = limit});
  }
  state_->changed.notify_all();
  if (!std::exchange(started_, true)) std::thread([state = state_] { state->run(); }).detach();
}

void ReadAheadWorker::cancel(std::uint64_t job) {
  const std::lock_guard lock(state_->mutex);
  std::erase_if(state_->waiting, [job](const Job& one) { return one.id == job; });
  if (state_->busy && state_->running.id == job) state_->running.stop.request_stop();
}

bool ReadAheadWorker::is_idle() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waiting.empty() && !state_->busy;
}

void ReadAheadWorker::State::run() {
  lower_io_priority();
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return stopping || !waiting.empty(); });
    if (stopping) break;
    running = std::move(waiting.front());
    waiting.pop_front();
    busy = true;
    const std::vector<std::string> files = running.files;
    const std::stop_token stop = running.stop.get_token();
    std::int64_t left = running.limit.count;
    lock.unlock();
    for (const std::string& file : files)
      if (left > 0 && !stop.stop_requested()) left -= read_file(file, left, stop);
    lock.lock();
    busy = false;
  }
  finished = true;
  changed.notify_all();
}

Bytes quarter_of_available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (std::int64_t kib = 0; file >> name >> kib; file.ignore(64, '\n'))
    if (name == "MemAvailable:") return Bytes{kib * 1024 / 4};
  return {};
}

}  // namespace mgpu::pagecache
