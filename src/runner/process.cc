// Who reaps what: the leader is waited for by its pid, everybody else of its group by waitpid(-group). With
// become_subreaper() orphans of the group are our children too, so kill(-group, 0) failing proves that the
// whole group is gone. No call here ever takes a child of other code; orphans that left the group are reaped
// by Children.
//
// Its output is read in one way only, read_output(), when it is waited for and when the leader has exited: a
// read under way beside it would mix up what was said.
#include "runner/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/signals.h"
#include "runner/child_reaper.h"
#include "runner/log_ring.h"
#include "runner/port.h"
#include "runner/process_recovery.h"
#include "runner/queued_writer.h"
#include "runner/run_state.h"
#include "runner/spawn.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxDrain = 1 << 20;  // of output still in the pipe at exit
constexpr std::size_t kMaxRead = 1 << 16;   // at once: others want to be served, too

}  // namespace

struct Process::State : RunState, std::enable_shared_from_this<Process::State> {
  State(asio::any_io_executor ex, const SpawnedProcess& spawned, RunOptions given)
      : RunState(std::move(ex), std::move(given)),
        output(executor),
        pidfd(executor, spawned.pidfd),
        reaper(ChildReaper::from_executor(executor)),
        group(spawned.pid),
        log(options.log_lines) {
    owned = true;
    if (spawned.output >= 0) output.assign(spawned.output);
  }
  ~State() override {
    if (!adopted && !exit) reaper.unregister_child(group);
  }

  void wait_for_output();
  bool read_output(std::size_t max_bytes);
  void store_output(std::string_view piece);
  void watch();
  void check_leader_exit();
  void signal_group(int number);
  bool group_gone();

  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor pidfd;
  ChildReaper& reaper;
  pid_t group;
  LogRing log;
  std::unique_ptr<QueuedWriter> log_file{};  // null: only the ring
  bool loss_reported = false;
  int stop_signal = SIGTERM;
  std::optional<std::uint16_t> port{};
  bool adopted = false;      // no child of ours: it can't be waited for
  bool stopping = false;     // somebody ends the group with care; its leader's exit is no crash
  bool group_ended = false;  // never signal again: the number may be somebody else's
};

namespace {

template <class State>
asio::awaitable<bool> wait_until_gone(std::shared_ptr<State> state, Duration limit) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (auto pause = std::chrono::milliseconds(1); !state->group_gone();
       pause = std::min(pause * 2, std::chrono::milliseconds(20))) {
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return true;
}

template <class State>
asio::awaitable<Result<void>> kill_group(std::shared_ptr<State> state) {
  state->stopping = true;
  state->signal_group(SIGKILL);
  const bool gone = co_await wait_until_gone(state, kKillLimit);
  if (!gone) co_return std::unexpected(survived_kill_error(fmt::format("process group {}", state->group)));
  co_return Result<void>{};
}

// Null where there is no path.
Result<std::unique_ptr<QueuedWriter>> open_log_file(const std::string& path) {
  if (path.empty()) return nullptr;
  const auto drop_note = [](std::uint64_t pieces) {
    return fmt::format("\nmgpu: {} piece{} of output could not be written here in time\n", pieces,
                       pieces == 1 ? "" : "s");
  };
  auto writer = QueuedWriter::open(path, {.drop_note = drop_note});
  if (!writer)
    return fail(ErrorCode::load_failed,
                fmt::format("the log file \"{}\" can't be written: {}", path, writer.error().detail));
  return writer;
}

bool has_exited(int pidfd) {
  pollfd entry{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) > 0;
}

ExitStatus parse_wait_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {.signal = WTERMSIG(wait_status)};
  return {.code = WEXITSTATUS(wait_status)};
}

}  // namespace

void Process::State::store_output(std::string_view piece) {
  log.append(piece);
  if (!log_file) return;
  // What can't be written is lost, and holds up nobody; the ring still has the end.
  log_file->write(std::string(piece));
  if (log_file->dropped() > 0 && !std::exchange(loss_reported, true))
    log.append("\nmgpu: the log file takes no more: some of this is missing there\n");
}

// What is there now. False: no more will come.
bool Process::State::read_output(std::size_t max_bytes) {
  std::array<char, 8192> buffer;
  for (std::size_t total = 0; total < max_bytes;) {
    const auto bytes = ::read(output.native_handle(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return bytes < 0 && errno == EAGAIN;
    store_output({buffer.data(), static_cast<std::size_t>(bytes)});
    total += static_cast<std::size_t>(bytes);
  }
  return true;
}

void Process::State::wait_for_output() {
  output.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (error) return;
    if (self->read_output(kMaxRead)) return self->wait_for_output();
    boost::system::error_code ignored;
    self->output.close(ignored);  // nobody holds the other end any more
  });
}

void Process::State::watch() {
  pidfd.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (!error) self->check_leader_exit();
  });
}

void Process::State::check_leader_exit() {
  if (exit) return;
  int wait_status = 0;
  if (adopted ? !has_exited(pidfd.native_handle()) : waitpid(group, &wait_status, WNOHANG) != group) return;
  // Its last words may still be in the pipe; they are the reason that people look for.
  read_output(kMaxDrain);
  if (!adopted) reaper.unregister_child(group);
  record_exit(adopted ? ExitStatus{} : parse_wait_status(wait_status), log.tail(kExitLogLines));
  // What is known of it stays for those who ask, maybe for days; the descriptor need not.
  boost::system::error_code ignored;
  pidfd.close(ignored);
  if (!stopping && !group_gone()) {
    // It crashed; workers that live on would hold device memory, and no request could make them release it.
    asio::co_spawn(executor, kill_group(shared_from_this()), asio::detached);
  }
}

void Process::State::signal_group(int number) {
  if (!group_gone()) ::kill(-group, number);
}

bool Process::State::group_gone() {
  if (group_ended) return true;
  check_leader_exit();
  if (!exit) return false;
  while (waitpid(-group, nullptr, WNOHANG) > 0) {
  }
  group_ended = ::kill(-group, 0) != 0 && errno == ESRCH;
  // Whoever inherited an adopted one may be slow to ask for its exit code, or never do.
  if (!group_ended && adopted) group_ended = live_group_members(group).empty();
  return group_ended;
}

void become_subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

Result<std::unique_ptr<Process>> Process::start(asio::any_io_executor executor,
                                                const config::ProcessConfig& config, RunOptions options) {
  auto ready = config;
  for (const auto& [name, value] : options.env) ready.env[name] = value;
  std::optional<std::uint16_t> port;
  if (options.needs_port || wants_port(config)) {
    const auto free = find_free_port();
    if (!free) return std::unexpected(free.error());
    port = *free;
    ready = with_port(std::move(ready), *port);
  }
  auto log_file = open_log_file(config.log_file);
  if (!log_file) return std::unexpected(log_file.error());
  const auto spawned = spawn(ready, options.outlives_daemon);
  if (!spawned) return std::unexpected(spawned.error());
  auto state = std::make_shared<State>(executor, *spawned, std::move(options));
  state->reaper.register_child(spawned->pid);
  state->log_file = std::move(*log_file);
  state->port = port;
  state->stop_signal = config::signal_number(config.stop_signal).value_or(SIGTERM);
  state->wait_for_output();
  state->watch();
  return std::unique_ptr<Process>(new Process(std::move(state)));
}

Result<std::unique_ptr<Process>> Process::adopt(asio::any_io_executor executor,
                                                const config::ProcessConfig& config,
                                                const RecordedProcess& known, RunOptions options) {
  const auto pidfd = open_pidfd(known.pid, known.start_time);
  if (!pidfd) return std::unexpected(pidfd.error());
  const SpawnedProcess found{.pid = known.pid, .pidfd = *pidfd, .output = reopen_output(known.pid)};
  auto state = std::make_shared<State>(executor, found, std::move(options));
  state->adopted = true;
  if (auto log_file = open_log_file(config.log_file)) state->log_file = std::move(*log_file);
  state->port = known.port;
  state->stop_signal = config::signal_number(config.stop_signal).value_or(SIGTERM);
  if (found.output >= 0) state->wait_for_output();
  state->watch();
  return std::unique_ptr<Process>(new Process(std::move(state)));
}

Process::Process(std::shared_ptr<State> state) : state_(std::move(state)) {}

Process::~Process() {
  state_->close();
  state_->signal_group(SIGKILL);
}

int Process::pid() const { return state_->group; }
RunIdentity Process::identity() const {
  if (!is_running()) return {};
  return {.pid = state_->group, .process_group = state_->group};
}
std::optional<std::uint16_t> Process::port() const { return state_->port; }
bool Process::is_running() const { return !state_->exit; }
const std::optional<ExitStatus>& Process::exit_status() const { return state_->exit; }
std::vector<std::string> Process::log_tail(std::size_t count) const { return state_->log.tail(count); }

asio::awaitable<Result<void>> Process::stop(Duration limit) {
  auto state = state_;
  state->stopping = true;
  state->signal_group(state->stop_signal);
  const bool gone = co_await wait_until_gone(state, limit);
  if (gone) co_return Result<void>{};
  co_return co_await kill_group(state);
}

asio::awaitable<Result<void>> Process::kill() {
  auto state = state_;
  co_return co_await kill_group(state);
}

}  // namespace mgpu::runner
