// The thread calls poll() before each write and never writes more than PIPE_BUF, which a ready pipe takes
// whole. So with a reader that does not read it waits in poll(), where it can be stopped, and not in write().
#include "runner/queued_writer.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace mgpu::runner {
namespace {

constexpr std::chrono::milliseconds kPollInterval{
    50};                                              // until the thread checks for its stop, or opens again
constexpr std::chrono::milliseconds kOpenLimit{200};  // how long open() waits for the first opening
// Threads that hang in the kernel permanently. At this number, further writers drop everything.
constexpr int kMaxHungThreads = 16;

constexpr std::size_t kPieceOverhead = 64;  // bytes that a queued piece takes beside its text

std::atomic<int> hung_threads{
    0};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): of the process

}  // namespace

struct QueuedWriter::State {
  State(int descriptor, std::string file, Options given)
      : options(std::move(given)), path(std::move(file)), fd(descriptor) {}
  ~State() {
    if (!path.empty() && fd >= 0) ::close(fd);
  }

  void run();
  bool open_file();
  void write_piece(std::string_view piece);
  bool write_some(std::string_view& rest);
  void count_dropped(std::uint64_t pieces);
  bool is_abandoned() const { return abandoned.load(); }

  const Options options;
  const std::string path;  // empty: the caller owns the descriptor
  int fd;                  // used by the thread only

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;
  std::size_t queued_bytes = 0;
  std::uint64_t dropped = 0;
  std::uint64_t unreported_drops = 0;
  std::optional<int> open_error{};  // errno of the first opening; 0: it is open, or will be opened
  bool closing = false;
  bool hung = false;      // the destructor has stopped waiting for the thread
  bool finished = false;  // the thread has ended, or was never started
  std::atomic<bool> abandoned{false};
};

void QueuedWriter::State::count_dropped(std::uint64_t pieces) {
  const std::lock_guard lock(mutex);
  dropped += pieces;
  unreported_drops += pieces;
}

// False: it can't be opened now.
bool QueuedWriter::State::open_file() {
  if (fd >= 0) return true;
  fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
  const int error = fd >= 0 || errno == ENXIO ? 0 : errno;  // ENXIO: a FIFO without a reader
  const std::lock_guard lock(mutex);
  if (!open_error) open_error = error;
  changed.notify_all();
  return fd >= 0;
}

// Returns whether to continue with the rest.
bool QueuedWriter::State::write_some(std::string_view& rest) {
  pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, static_cast<int>(kPollInterval.count())) <= 0) return true;
  const ssize_t written = ::write(fd, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
  if (written >= 0) {
    rest.remove_prefix(static_cast<std::size_t>(written));
    return true;
  }
  if (errno == EAGAIN || errno == EINTR) return true;
  if (errno != EPIPE || path.empty()) return false;
  ::close(std::exchange(fd, -1));  // the FIFO has no reader any more; it is opened again for the next one
  return true;
}

void QueuedWriter::State::write_piece(std::string_view piece) {
  while (!piece.empty() && !is_abandoned()) {
    if (!path.empty() && !open_file()) {
      std::unique_lock lock(mutex);
      changed.wait_for(lock, kPollInterval, [this] { return is_abandoned(); });
      continue;
    }
    if (!write_some(piece)) break;
  }
  if (!piece.empty()) count_dropped(1);
}

void QueuedWriter::State::run() {
  if (!path.empty()) open_file();
  std::unique_lock lock(mutex);
  while (!is_abandoned()) {
    changed.wait(lock, [this] { return !queue.empty() || closing; });
    if (queue.empty()) break;
    std::string piece = std::move(queue.front());
    queue.pop_front();
    const std::size_t size = piece.size() + kPieceOverhead;
    const std::uint64_t missing = std::exchange(unreported_drops, 0);
    lock.unlock();
    if (missing > 0 && options.drop_note) piece.insert(0, options.drop_note(missing));
    write_piece(piece);
    lock.lock();
    queued_bytes -= size;
  }
  finished = true;
  if (hung) --hung_threads;
  changed.notify_all();
}

std::unique_ptr<QueuedWriter> QueuedWriter::for_descriptor(int descriptor, Options options) {
  return std::unique_ptr<QueuedWriter>(
      new QueuedWriter(std::make_shared<State>(descriptor, "", std::move(options))));
}

Result<std::unique_ptr<QueuedWriter>> QueuedWriter::open(std::string path, Options options) {
  auto state = std::make_shared<State>(-1, std::move(path), std::move(options));
  std::unique_ptr<QueuedWriter> writer(new QueuedWriter(state));
  std::unique_lock lock(state->mutex);
  state->changed.wait_for(lock, kOpenLimit, [&] { return state->open_error || state->finished; });
  if (const int error = state->open_error.value_or(0); error != 0)
    return fail(ErrorCode::load_failed, std::strerror(error));
  return writer;
}

QueuedWriter::QueuedWriter(std::shared_ptr<State> state) : state_(std::move(state)) {
  if (hung_threads >= kMaxHungThreads)
    state_->finished = true;
  else
    std::thread([shared = state_] { shared->run(); }).detach();
}

QueuedWriter::~QueuedWriter() {
  const auto ended = [this] { return state_->finished; };
  std::unique_lock lock(state_->mutex);
  state_->closing = true;
  state_->changed.notify_all();
  if (state_->changed.wait_for(lock, state_->options.flush_limit, ended)) return;
  state_->abandoned = true;
  state_->changed.notify_all();
  if (state_->changed.wait_for(lock, 2 * kPollInterval, ended)) return;
  state_->hung = true;
  ++hung_threads;
}

void QueuedWriter::write(std::string piece) {
  if (piece.empty()) return;
  const std::lock_guard lock(state_->mutex);
  if (state_->finished || state_->queued_bytes + piece.size() + kPieceOverhead > kMaxQueuedOutput) {
    ++state_->dropped;
    ++state_->unreported_drops;
    return;
  }
  state_->queued_bytes += piece.size() + kPieceOverhead;
  state_->queue.push_back(std::move(piece));
  state_->changed.notify_all();
}

std::uint64_t QueuedWriter::dropped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

}  // namespace mgpu::runner
