#include "pagecache/read_ahead.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mgpu::pagecache {
namespace {

constexpr std::int64_t kPiece = 8 << 20;

// <linux/ioprio.h> is not everywhere.
constexpr int kIoPriorityOfThread = 1;  // IOPRIO_WHO_PROCESS, with 0: the calling thread
constexpr int kIdleClass = 3 << 13;     // IOPRIO_CLASS_IDLE

void give_way_to_all_others() { ::syscall(SYS_ioprio_set, kIoPriorityOfThread, 0, kIdleClass); }

// Asks for a piece and waits until its last byte is there; the byte is all that is copied.
bool read_piece(int file, std::int64_t at, std::int64_t count) {
  ::posix_fadvise(file, at, count, POSIX_FADV_WILLNEED);
  char last = 0;
  return ::pread(file, &last, 1, at + count - 1) == 1;
}

// The bytes that came of one file, at most `most`.
std::int64_t read_file(const std::string& path, std::int64_t most, const std::stop_token& stop) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return 0;
  struct stat facts{};
  const bool regular = ::fstat(file, &facts) == 0 && S_ISREG(facts.st_mode);
  const std::int64_t end = regular ? std::min<std::int64_t>(facts.st_size, most) : 0;
  std::int64_t at = 0;
  while (at < end && !stop.stop_requested()) {
    const std::int64_t count = std::min(kPiece, end - at);
    if (!read_piece(file, at, count)) break;
    at += count;
  }
  ::close(file);
  return at;
}

}  // namespace

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    waiting_.clear();
    running_.stop.request_stop();
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ReadAhead::read(std::uint64_t job, std::vector<std::string> files, Bytes limit) {
  cancel(job);
  if (files.empty() || limit <= Bytes{}) return;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({.name = job, .files = std::move(files), .limit = limit});
  }
  changed_.notify_one();
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void ReadAhead::cancel(std::uint64_t job) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [job](const Job& one) { return one.name == job; });
  if (busy_ && running_.name == job) running_.stop.request_stop();
}

bool ReadAhead::idle() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty() && !busy_;
}

void ReadAhead::run() {
  give_way_to_all_others();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    const std::vector<std::string> files = running_.files;
    const std::stop_token stop = running_.stop.get_token();
    std::int64_t left = running_.limit.count;
    lock.unlock();
    for (const std::string& file : files)
      if (left > 0 && !stop.stop_requested()) left -= read_file(file, left, stop);
    lock.lock();
    busy_ = false;
  }
}

Bytes quarter_of_available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  for (std::int64_t kib = 0; file >> name >> kib; file.ignore(64, '\n'))
    if (name == "MemAvailable:") return Bytes{kib * 1024 / 4};
  return {};
}

}  // namespace mgpu::pagecache
