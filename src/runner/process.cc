// The leader is reaped by its pid, the rest of its group by waitpid(-group). With become_subreaper() orphans
// of the group are children of this process, too, so a failing kill(-group, 0) proves that the whole group
// has ended. What left the group is found by RunProcesses. No call here reaps a child of other code; orphans
// that left the group are reaped by ChildReaper.
//
// A leader that ends with code 0 while others of the run live may have been a script that put its server into
// the background. Where the run's address is served, the run goes on (follow_background) with the listener in
// the leader's place.
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
#include "gpu/run_mark.h"
#include "runner/child_reaper.h"
#include "runner/log_ring.h"
#include "runner/port.h"
#include "runner/port_owner.h"
#include "runner/process_recovery.h"
#include "runner/queued_writer.h"
#include "runner/run_processes.h"
#include "runner/run_state.h"
#include "runner/spawn.h"
#include "runner/visible_devices.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxDrain = 1 << 20;  // bytes read from the pipe after the exit
constexpr std::size_t kMaxRead = 1 << 16;   // bytes per read, so that other handlers can run

constexpr Duration kBackgroundPoll{200'000};

}  // namespace

struct Process::State : RunState, std::enable_shared_from_this<Process::State> {
  State(asio::any_io_executor ex, const SpawnedProcess& spawned, RunProcesses processes, RunOptions given)
      : RunState(std::move(ex), std::move(given)),
        output(executor),
        pidfd(executor, spawned.pidfd),
        reaper(ChildReaper::from_executor(executor)),
        group(spawned.pid),
        members(std::move(processes)),
        main_pid(spawned.pid),
        log(options.log_lines) {
    owned = true;
    members.set_leader(group);
    if (spawned.output >= 0) output.assign(spawned.output);
  }
  ~State() override {
    if (!adopted && !leader_ended) reaper.unregister_child(group);
  }

  void wait_for_output();
  bool read_output(std::size_t max_bytes);
  void store_output(std::string_view piece);
  void watch();
  void check_leader_exit();
  void signal_group(int number);
  bool group_gone();
  bool all_gone();
  bool may_go_on_in_background();
  bool is_served();

  asio::posix::stream_descriptor output;
  asio::posix::stream_descriptor pidfd;
  ChildReaper& reaper;
  pid_t group;
  RunProcesses members;
  pid_t main_pid;  // the leader; in the background the process that listens, or the oldest
  LogRing log;
  std::unique_ptr<QueuedWriter> log_file{};  // null: only the ring
  bool loss_reported = false;
  int stop_signal = SIGTERM;
  std::optional<http::Endpoint> endpoint{};
  std::vector<std::string> device_uuids{};
  bool adopted = false;       // not a child of this process: waitpid() does not work
  bool stopping = false;      // stop() or kill() was called: the leader's exit is no crash
  bool was_ready = false;     // its service was healthy once
  bool group_ended = false;   // must not be signaled again: the number may be reused
  bool all_ended = false;     // the group, and all others of the run
  bool leader_ended = false;  // with leader_status
  ExitStatus leader_status{};
};

namespace {

template <class State>
asio::awaitable<void> sleep_for(std::shared_ptr<State> state, Duration duration) {
  asio::steady_timer timer(state->executor, duration);
  co_await timer.async_wait(asio::use_awaitable);
}

// Whether all processes of the run have ended within the limit; `nudge` is called before each check.
template <class State>
asio::awaitable<bool> wait_until_gone(std::shared_ptr<State> state, Duration limit,
                                      std::function<void(State&)> nudge) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  Duration pause{1'000};
  while (true) {
    nudge(*state);
    if (state->all_gone()) co_return true;
    if (std::chrono::steady_clock::now() >= deadline) co_return false;
    co_await sleep_for(state, pause);
    pause = std::min(pause * 2, Duration{20'000});
  }
}

template <class State>
asio::awaitable<Result<void>> kill_all(std::shared_ptr<State> state) {
  state->stopping = true;
  state->signal_group(SIGKILL);
  // Again at each check: one that forks while it is looked for leaves a child behind.
  const std::function<void(State&)> kill_rest = [](State& s) { s.members.kill(); };
  const bool gone = co_await wait_until_gone(state, kKillLimit, kill_rest);
  if (!gone) co_return std::unexpected(survived_kill_error(fmt::format("process group {}", state->group)));
  co_return Result<void>{};
}

// The stop signal goes to the group at once, and to those that left the group when the leader has ended: it
// may want to end them itself. Whether all have ended in time.
template <class State>
asio::awaitable<bool> ask_to_end(std::shared_ptr<State> state, Duration limit) {
  state->stopping = true;
  state->members.look();  // while all still have their parents
  state->signal_group(state->stop_signal);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const std::function<void(State&)> nothing = [](State&) {};
  while (!state->leader_ended && std::chrono::steady_clock::now() < deadline) {
    const Duration step{20'000};
    const bool gone = co_await wait_until_gone(state, step, nothing);
    if (gone) co_return true;
  }
  if (!state->leader_ended) co_return false;
  state->members.signal(state->stop_signal, state->group);
  const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
  co_return co_await wait_until_gone(state, left, nothing);
}

// Until the run ends: its leader has ended, others live. It ends when none of them listens at its address any
// more, or does not within the time that a start may take.
template <class State>
asio::awaitable<void> follow_background(std::shared_ptr<State> state) {
  const auto deadline = std::chrono::steady_clock::now() + state->options.start_limit;
  if (state->options.on_background) state->options.on_background(state->main_pid);
  bool was_served = state->was_ready;
  while (!state->closed && !state->stopping && !state->exit) {
    const bool served = state->is_served();
    const bool too_late = was_served || std::chrono::steady_clock::now() >= deadline;
    was_served = was_served || served;
    if (state->members.pids().empty() || (!served && too_late)) {
      state->record_exit(state->leader_status, state->log.tail(kExitLogLines));
      (void)co_await kill_all(state);
      co_return;
    }
    co_await sleep_for(state, kBackgroundPoll);
  }
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
  return parse_visible_devices(read_environment_variable(pid, kVisibleDevicesVariable));
}

// A port that is free at all addresses of the URL: localhost has two.
Result<std::uint16_t> choose_port(const std::string& url) {
  constexpr int kTries = 20;
  auto port = find_free_port();
  for (int tries = 1; port && tries < kTries; ++tries) {
    const auto endpoint = local_endpoint(url, *port);
    if (!endpoint || check_port_is_free(*endpoint)) break;
    port = find_free_port();
  }
  return port;
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
  if (leader_ended) return;
  int wait_status = 0;
  if (adopted ? !has_exited(pidfd.native_handle()) : waitpid(group, &wait_status, WNOHANG) != group) return;
  // The last output, which usually has the reason of a crash, may still be in the pipe.
  read_output(kMaxDrain);
  if (!adopted) reaper.unregister_child(group);
  leader_ended = true;
  leader_status = adopted ? ExitStatus{} : parse_wait_status(wait_status);
  // The state may be kept for days; the descriptor is not needed any more.
  boost::system::error_code ignored;
  pidfd.close(ignored);
  if (may_go_on_in_background())
    return asio::co_spawn(executor, follow_background(shared_from_this()), asio::detached);
  record_exit(leader_status, log.tail(kExitLogLines));
  // It crashed; workers that survive would hold device memory, and no request could make them release it.
  if (!stopping && !all_gone()) asio::co_spawn(executor, kill_all(shared_from_this()), asio::detached);
}

bool Process::State::may_go_on_in_background() {
  if (stopping || leader_status.code != 0 || !endpoint || !members.any_left()) return false;
  main_pid = members.pids().front();
  return !was_ready || is_served();
}

// Whether a process of the run listens at its address; notes which one.
bool Process::State::is_served() {
  if (find_listener_among({main_pid}, *endpoint)) return true;  // without a look at all processes
  members.look();
  const auto listener = find_listener_among(members.pids(), *endpoint);
  if (listener) main_pid = *listener;
  return listener.has_value();
}

void Process::State::signal_group(int number) {
  if (!group_gone()) ::kill(-group, number);
}

bool Process::State::group_gone() {
  if (group_ended) return true;
  check_leader_exit();
  if (!leader_ended) return false;
  while (waitpid(-group, nullptr, WNOHANG) > 0) {
  }
  group_ended = ::kill(-group, 0) != 0 && errno == ESRCH;
  // The parent of an adopted process may reap it late or never.
  if (!group_ended && adopted) group_ended = live_group_members(group).empty();
  if (group_ended) members.forget_group();
  return group_ended;
}

bool Process::State::all_gone() {
  if (all_ended) return true;
  if (!group_gone() || members.any_left()) return false;
  all_ended = true;
  if (members.cgroup()) members.cgroup()->remove();
  if (!exit) record_exit(leader_status, log.tail(kExitLogLines));
  return true;
}

void become_subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

Result<std::unique_ptr<Process>> Process::start(asio::any_io_executor executor,
                                                const config::ProcessConfig& config, RunOptions options) {
  auto ready = config;
  for (const auto& [name, value] : options.env) ready.env[name] = value;
  for (const auto& [name, value] : options.devices.variables) ready.env.emplace(name, value);
  std::optional<std::uint16_t> port;
  if (wants_port(options.url) || wants_port(config)) {
    const auto free = choose_port(options.url);
    if (!free) return std::unexpected(free.error());
    port = *free;
    ready = with_port(std::move(ready), *port);
  }
  auto log_file = open_log_file(config.log_file);
  if (!log_file) return std::unexpected(log_file.error());
  const auto endpoint = local_endpoint(options.url, port);
  if (endpoint)
    if (auto free = check_port_is_free(*endpoint); !free) return std::unexpected(free.error());
  RunProcesses processes(make_run_id(options.mark));
  ready.env[gpu::kRunVariable] = processes.run_id();
  const int cgroup = processes.cgroup() ? processes.cgroup()->open_to_enter() : -1;
  const auto spawned = spawn(ready, {.outlives_daemon = options.outlives_daemon, .cgroup = cgroup});
  if (cgroup >= 0) ::close(cgroup);
  if (!spawned) {
    if (processes.cgroup()) processes.cgroup()->remove();
    return std::unexpected(spawned.error());
  }
  auto state = std::make_shared<State>(executor, *spawned, std::move(processes), std::move(options));
  state->reaper.register_child(spawned->pid);
  state->log_file = std::move(*log_file);
  state->endpoint = endpoint;
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
  auto state =
      std::make_shared<State>(executor, found, RunProcesses::of_leader(known.pid), std::move(options));
  state->adopted = true;
  state->was_ready = true;  // only a settled process is adopted
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
  state_->stopping = true;
  state_->signal_group(SIGKILL);
  if (!state_->all_gone()) state_->members.kill();
}

int Process::pid() const { return state_->group; }
RunIdentity Process::identity() const {
  // What survives its end still holds memory of this run.
  if (!is_running()) return {.run = state_->members.run_id()};
  if (state_->leader_ended) return {.pid = state_->main_pid, .run = state_->members.run_id()};
  return {.pid = state_->group, .process_group = state_->group, .run = state_->members.run_id()};
}
std::optional<http::Endpoint> Process::endpoint() const { return state_->endpoint; }
std::vector<std::string> Process::device_uuids() const { return state_->device_uuids; }
bool Process::is_running() const { return !state_->exit; }
const std::optional<ExitStatus>& Process::exit_status() const { return state_->exit; }
std::vector<std::string> Process::log_tail(std::size_t count) const { return state_->log.tail(count); }
bool Process::owns_process(int pid) { return state_->members.contains(pid); }

void Process::set_ready() {
  state_->was_ready = true;
  state_->members.look();  // while its workers still have their parents
}

asio::awaitable<Result<void>> Process::stop(Duration limit) {
  auto state = state_;
  const bool gone = co_await ask_to_end(state, limit);
  if (gone) co_return Result<void>{};
  co_return co_await kill_all(state);
}

asio::awaitable<Result<void>> Process::kill() {
  auto state = state_;
  co_return co_await kill_all(state);
}

}  // namespace mgpu::runner
