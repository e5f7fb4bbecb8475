// The leader is reaped by its pid, the rest of its group by waitpid(-group). With become_subreaper() orphans
// of the group are children of this process, too, so a failing kill(-group, 0) proves that the whole group
// has ended. No call here reaps a child of other code; orphans that left the group are reaped by ChildReaper.
//
// Output is read only by read_output(), when the pipe is readable and when the leader has exited: a second
// concurrent read would change the order of the output.
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
#include "runner/visible_devices.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxDrain = 1 << 20;  // bytes read from the pipe after the exit
constexpr std::size_t kMaxRead = 1 << 16;   // bytes per read, so that other handlers can run

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
  std::optional<http::Endpoint> endpoint{};
  std::vector<std::string> device_uuids{};
  bool adopted = false;      // not a child of this process: waitpid() does not work
  bool stopping = false;     // stop() or kill() was called: the leader's exit is no crash
  bool group_ended = false;  // must not be signaled again: the number may be reused
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

// Null without a path.
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

// The devices visible to the process, whether its variable was set by the daemon, its configuration, or the
// daemon's own environment.
std::vector<std::string> read_device_uuids(int pid) {
  return parse_visible_devices(read_environment_variable(pid, kVisibleDevicesVariable).value_or(""));
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
  // Output that the file does not take in time is dropped there; the ring still has the last lines.
  log_file->write(std::string(piece));
  if (log_file->dropped() > 0 && !std::exchange(loss_reported, true))
    log.append("\nmgpu: the log file takes no more: part of this output is missing there\n");
}

// Reads what the pipe has now. False: the pipe is closed.
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
    self->output.close(ignored);  // no process holds the other end
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
  // The last output, which usually has the reason of a crash, may still be in the pipe.
  read_output(kMaxDrain);
  if (!adopted) reaper.unregister_child(group);
  record_exit(adopted ? ExitStatus{} : parse_wait_status(wait_status), log.tail(kExitLogLines));
  // The state may be kept for days; the descriptor is not needed any more.
  boost::system::error_code ignored;
  pidfd.close(ignored);
  if (!stopping && !group_gone()) {
    // It crashed; workers that survive would hold device memory, and no request could make them release it.
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
  // The parent of an adopted process may reap it late or never.
  if (!group_ended && adopted) group_ended = live_group_members(group).empty();
  return group_ended;
}

void become_subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

Result<std::unique_ptr<Process>> Process::start(asio::any_io_executor executor,
                                                const config::ProcessConfig& config, RunOptions options) {
  auto ready = config;
  for (const auto& [name, value] : options.env) ready.env[name] = value;
  if (const auto visible = visible_devices_value(options.device_uuids))
    ready.env.emplace(kVisibleDevicesVariable, *visible);
  std::optional<std::uint16_t> port;
  if (wants_port(options.url) || wants_port(config)) {
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
  state->endpoint = local_endpoint(state->options.url, port);
  state->device_uuids = read_device_uuids(spawned->pid);
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
  state->endpoint = local_endpoint(state->options.url, known.port);
  state->device_uuids = read_device_uuids(known.pid);
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
std::optional<http::Endpoint> Process::endpoint() const { return state_->endpoint; }
std::vector<std::string> Process::device_uuids() const { return state_->device_uuids; }
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
