// systemd works by jobs: a start or a stop is queued as a job, and the signal JobRemoved reports how the job
// ended. That signal may arrive before the reply that names the job, so results of all jobs are kept. Later
// changes of the unit arrive as PropertiesChanged, of the service's properties first and then of the unit's.
// When the bus disconnects (it restarts), the unit keeps running and the bus is reopened until it is back.
#include "runner/systemd_unit.h"

#include <csignal>
#include <map>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <sys/wait.h>

#include "gpu/process_table.h"
#include "runner/async_condition.h"
#include "runner/dbus_connection.h"
#include "runner/port.h"
#include "runner/run_state.h"
#include "runner/unit_journal.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kCallLimit{10'000'000};      // of a call; polkit may take seconds
constexpr Duration kReconnectDelay{1'000'000};  // before reopening a bus that disconnected
constexpr std::size_t kMaxJobResults = 64;      // jobs of other programs are never looked up

constexpr const char* kSystemdName = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManagerInterface = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnitInterface = "org.freedesktop.systemd1.Unit";
constexpr const char* kServiceInterface = "org.freedesktop.systemd1.Service";
constexpr const char* kPropertiesInterface = "org.freedesktop.DBus.Properties";

bool is_up(std::string_view active_state) {
  return active_state == "active" || active_state == "reloading" || active_state == "refreshing";
}

// No process of the unit is left. `activating` after it was up means that systemd restarts it (Restart=).
bool is_stopped(std::string_view active_state) {
  return !is_up(active_state) && active_state != "deactivating";
}

// The properties of a unit that are used here, as far as systemd has sent them.
struct UnitProperties {
  std::string load_state{};
  std::string active_state{};
  std::optional<std::int32_t> main_pid{};
  std::optional<std::int32_t> exit_code{};  // CLD_EXITED, CLD_KILLED, ...
  std::optional<std::int32_t> exit_status{};

  void read_value(std::string_view name, sd_bus_message* value);
};

void UnitProperties::read_value(std::string_view name, sd_bus_message* value) {
  const auto read_text = [&](std::string& into) {
    const char* read = nullptr;
    if (sd_bus_message_read(value, "v", "s", &read) >= 0) into = read;
  };
  const auto read_number = [&](std::optional<std::int32_t>& into, const char* type) {
    std::int32_t read = 0;  // pids are small enough for both types
    if (sd_bus_message_read(value, "v", type, &read) >= 0) into = read;
  };
  if (name == "LoadState") return read_text(load_state);
  if (name == "ActiveState") return read_text(active_state);
  if (name == "MainPID") return read_number(main_pid, "u");
  if (name == "ExecMainCode") return read_number(exit_code, "i");
  if (name == "ExecMainStatus") return read_number(exit_status, "i");
  sd_bus_message_skip(value, "v");
}

// Reads the a{sv} at the message's current position.
void read_all_values(UnitProperties& properties, sd_bus_message* message) {
  if (sd_bus_message_enter_container(message, 'a', "{sv}") < 0) return;
  while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
    const char* name = nullptr;
    if (sd_bus_message_read(message, "s", &name) < 0) return;
    properties.read_value(name, message);
    sd_bus_message_exit_container(message);
  }
  sd_bus_message_exit_container(message);
}

ExitStatus to_exit_status(const UnitProperties& properties) {
  const int code = properties.exit_code.value_or(0);
  if (code == CLD_EXITED) return {.code = properties.exit_status};
  if (code == CLD_KILLED || code == CLD_DUMPED) return {.signal = properties.exit_status};
  return {};
}

DbusMethod manager_method(const char* member) {
  return {kSystemdName, kManagerPath, kManagerInterface, member};
}

struct State final : RunState, std::enable_shared_from_this<State> {
  State(asio::any_io_executor ex, config::SystemdConfig unit, RunOptions given)
      : RunState(std::move(ex), std::move(given)), config(std::move(unit)) {}

  void subscribe_signals();
  void on_properties_changed(sd_bus_message* message);
  void on_job_removed(sd_bus_message* message);
  void check_state();
  void close() override;

  const config::SystemdConfig config;
  std::unique_ptr<DbusConnection> bus{};
  std::string object_path{};  // of the unit on the bus
  UnitProperties properties{};
  std::map<std::string, std::string> job_results{};  // path -> result
  bool watched = false;                              // it was up: leaving `active` is its end
  bool stop_requested = false;                       // by this runner
  bool reconnecting = false;                         // the bus was lost and reconnect() runs
};

Error unit_error(const State& state, ErrorCode code, const std::string& why) {
  return {code, state.config.unit + ": " + why};
}

asio::awaitable<Result<std::string>> call_for_path(std::shared_ptr<State> state, DbusMethod method,
                                                   std::function<void(sd_bus_message*)> append_arguments) {
  const Duration limit = kCallLimit;
  const auto reply = co_await state->bus->call(std::move(method), std::move(append_arguments), limit);
  if (!reply) co_return std::unexpected(reply.error());
  const char* path = nullptr;
  if (sd_bus_message_read(reply->get(), "o", &path) < 0)
    co_return fail(ErrorCode::load_failed, "systemd's answer has no object path");
  co_return std::string(path);
}

std::function<void(sd_bus_message*)> string_arguments(std::string one, std::string two = "") {
  return [one = std::move(one), two = std::move(two)](sd_bus_message* message) {
    sd_bus_message_append(message, "s", one.c_str());
    if (!two.empty()) sd_bus_message_append(message, "s", two.c_str());
  };
}

asio::awaitable<Result<void>> read_properties(std::shared_ptr<State> state, const char* interface) {
  DbusMethod method{kSystemdName, state->object_path, kPropertiesInterface, "GetAll"};
  auto append_arguments = string_arguments(interface);
  const Duration limit = kCallLimit;
  const auto reply = co_await state->bus->call(std::move(method), std::move(append_arguments), limit);
  if (!reply) co_return std::unexpected(reply.error());
  read_all_values(state->properties, reply->get());
  co_return Result<void>{};
}

// Opens the bus and reads all properties of the unit. Signals are subscribed first, so that no change between
// the replies is missed.
asio::awaitable<Result<void>> connect(std::shared_ptr<State> state) {
  auto bus = DbusConnection::open(state->executor, state->config.bus);
  if (!bus) co_return std::unexpected(bus.error());
  state->bus = *std::move(bus);
  state->subscribe_signals();
  const Duration limit = kCallLimit;
  DbusMethod subscribe = manager_method("Subscribe");
  std::function<void(sd_bus_message*)> no_arguments;
  const auto subscribed = co_await state->bus->call(std::move(subscribe), std::move(no_arguments), limit);
  if (!subscribed) co_return std::unexpected(subscribed.error());
  DbusMethod load = manager_method("LoadUnit");
  auto name = string_arguments(state->config.unit);
  auto path = co_await call_for_path(state, std::move(load), std::move(name));
  if (!path) co_return std::unexpected(path.error());
  state->object_path = *std::move(path);
  const auto unit = co_await read_properties(state, kUnitInterface);
  if (!unit) co_return unit;
  if (state->properties.load_state == "not-found")
    co_return fail(ErrorCode::not_found, "there is no such unit");
  // Units other than services have no such properties.
  (void)co_await read_properties(state, kServiceInterface);
  co_return Result<void>{};
}

// Waits until the job has ended. The result is systemd's string: "done", "failed", ... Errors: service_down
// (the bus was lost), load_failed (not within `limit`).
asio::awaitable<Result<std::string>> wait_for_job(std::shared_ptr<State> state, std::string job,
                                                  Duration limit) {
  const std::function<bool()> is_finished = [&s = *state, &job] {
    return s.job_results.contains(job) || s.bus->is_lost();
  };
  const bool in_time = co_await state->changed.wait(is_finished, limit);
  if (const auto result = state->job_results.find(job); result != state->job_results.end())
    co_return result->second;
  if (in_time)
    co_return fail(ErrorCode::service_down, "the connection to the bus was lost while its job ran");
  co_return fail(ErrorCode::load_failed, "its job takes longer than " + mgpu::to_string(limit));
}

asio::awaitable<Result<std::string>> queue_job(std::shared_ptr<State> state, const char* member) {
  DbusMethod method = manager_method(member);
  auto append_arguments = string_arguments(state->config.unit, "replace");
  co_return co_await call_for_path(state, std::move(method), std::move(append_arguments));
}

asio::awaitable<Result<void>> send_sigkill(std::shared_ptr<State> state) {
  DbusMethod method = manager_method("KillUnit");
  const Duration limit = kCallLimit;
  std::function<void(sd_bus_message*)> append_arguments = [unit =
                                                               state->config.unit](sd_bus_message* message) {
    sd_bus_message_append(message, "ssi", unit.c_str(), "all", SIGKILL);
  };
  const auto reply = co_await state->bus->call(std::move(method), std::move(append_arguments), limit);
  if (!reply) co_return std::unexpected(reply.error());
  co_return Result<void>{};
}

asio::awaitable<bool> wait_until_stopped(std::shared_ptr<State> state, Duration limit) {
  const std::function<bool()> has_stopped = [&s = *state] { return is_stopped(s.properties.active_state); };
  co_return co_await state->changed.wait(has_stopped, limit);
}

// --- watching ---

asio::awaitable<void> reconnect(std::shared_ptr<State> state) {
  while (!state->closed && !state->exit) {
    const auto connected = co_await connect(state);
    if (connected && !state->bus->is_lost()) break;
    const std::function<bool()> is_closed = [&s = *state] { return s.closed; };
    const Duration pause = kReconnectDelay;
    co_await state->changed.wait(is_closed, pause);
  }
  state->reconnecting = false;
  state->check_state();
}

void start_watching(const std::shared_ptr<State>& state) {
  state->watched = true;
  state->check_state();
}

// --- stopping ---

asio::awaitable<Result<void>> kill_unit(std::shared_ptr<State> state) {
  state->stop_requested = true;
  // Without a stop job systemd would restart it (Restart=). If this call fails, so does the next one.
  (void)co_await queue_job(state, "StopUnit");
  const auto killed = co_await send_sigkill(state);
  const Duration limit = killed ? kKillLimit : Duration{0};
  const bool stopped = co_await wait_until_stopped(state, limit);
  if (stopped) co_return Result<void>{};
  if (killed) co_return std::unexpected(survived_kill_error(state->config.unit));
  co_return std::unexpected(unit_error(*state, ErrorCode::eviction_failed, killed.error().detail));
}

// --- starting ---

asio::awaitable<Result<void>> start_job(std::shared_ptr<State> state) {
  const auto queued = co_await queue_job(state, "StartUnit");
  if (!queued) co_return std::unexpected(queued.error());
  const Duration limit = state->options.start_limit;
  std::string path = *queued;
  const auto result = co_await wait_for_job(state, std::move(path), limit);
  if (!result) {
    (void)co_await queue_job(state, "StopUnit");  // a start that succeeds later must not take memory
    co_return std::unexpected(result.error());
  }
  if (*result != "done") {
    const ExitStatus status = to_exit_status(state->properties);
    co_return fail(ErrorCode::load_failed,
                   fmt::format("its start ended with \"{}\"; its process {}", *result, to_string(status)));
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> connect_and_start(std::shared_ptr<State> state) {
  const auto connected = co_await connect(state);
  if (!connected) co_return connected;
  if (is_up(state->properties.active_state)) co_return Result<void>{};
  state->owned = true;
  const auto started = co_await start_job(state);
  if (!started) co_return started;
  // The signal of the job's end may arrive before those of the new properties.
  const auto seen = co_await read_properties(state, kUnitInterface);
  if (!seen) co_return seen;
  (void)co_await read_properties(state, kServiceInterface);
  if (!is_up(state->properties.active_state)) co_return fail(ErrorCode::load_failed, "it ended at once");
  co_return Result<void>{};
}

void State::subscribe_signals() {
  const std::string from = std::string("type='signal',sender='") + kSystemdName + "',";
  bus->add_match(from + "interface='" + kManagerInterface + "',member='JobRemoved'",
                 [this](sd_bus_message* message) { on_job_removed(message); });
  bus->add_match(from + "interface='" + kPropertiesInterface + "',member='PropertiesChanged'",
                 [this](sd_bus_message* message) { on_properties_changed(message); });
  bus->on_lost([this] {
    changed.notify_all();
    // At most one reconnect() at a time: two would replace each other's connection.
    if (watched && !std::exchange(reconnecting, true))
      asio::co_spawn(executor, reconnect(shared_from_this()), asio::detached);
  });
}

void State::on_job_removed(sd_bus_message* message) {
  std::uint32_t id = 0;
  const char* job = nullptr;
  const char* unit = nullptr;
  const char* result = nullptr;
  if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0 || config.unit != unit) return;
  if (job_results.size() >= kMaxJobResults) job_results.clear();
  job_results[job] = result;
  changed.notify_all();
}

void State::on_properties_changed(sd_bus_message* message) {
  const char* from = sd_bus_message_get_path(message);
  const char* interface = nullptr;
  if (from == nullptr || object_path != from || sd_bus_message_read(message, "s", &interface) < 0) return;
  read_all_values(properties, message);
  check_state();
}

void State::check_state() {
  changed.notify_all();
  // After this runner's stop request the run ends when no process is left; otherwise when it leaves `active`.
  const bool has_ended =
      stop_requested ? is_stopped(properties.active_state) : !is_up(properties.active_state);
  if (!watched || exit || !has_ended) return;
  record_exit(to_exit_status(properties), read_unit_journal(config, kExitLogLines));
}

void State::close() {
  watched = false;
  RunState::close();
}

class SystemdUnit final : public RunnerOf<State> {
 public:
  using RunnerOf::RunnerOf;

  RunIdentity identity() const override;
  std::optional<http::Endpoint> endpoint() const override {
    return local_endpoint(state()->options.url, std::nullopt);
  }
  std::vector<std::string> device_uuids() const override { return {}; }  // only the unit's file names them
  std::vector<std::string> log_tail(std::size_t count) const override {
    return read_unit_journal(state()->config, count);
  }
  bool owns_process(int pid) override;
  // SIGKILL is sent after `limit`; systemd's own TimeoutStopSec may be shorter.
  asio::awaitable<Result<void>> stop(Duration limit) override;
  asio::awaitable<Result<void>> kill() override;
};

RunIdentity SystemdUnit::identity() const {
  if (!is_running()) return {};
  RunIdentity identity{.unit = state()->config.unit};
  if (const int pid = state()->properties.main_pid.value_or(0); pid > 0) identity.pid = pid;
  return identity;
}

// systemd itself listens for a unit that is started by a socket.
bool SystemdUnit::owns_process(int pid) {
  return gpu::read_cgroup(pid).unit == state()->config.unit || gpu::read_process_name(pid) == "systemd" ||
         gpu::descends_from(pid, state()->properties.main_pid.value_or(0));
}

asio::awaitable<Result<void>> SystemdUnit::stop(Duration limit) {
  const auto state = this->state();
  if (state->exit) co_return Result<void>{};
  state->stop_requested = true;
  const auto queued = co_await queue_job(state, "StopUnit");
  if (!queued)
    co_return std::unexpected(unit_error(*state, ErrorCode::eviction_failed, queued.error().detail));
  const bool stopped = co_await wait_until_stopped(state, limit);
  if (stopped) co_return Result<void>{};
  co_return co_await kill_unit(state);
}

asio::awaitable<Result<void>> SystemdUnit::kill() {
  const auto state = this->state();
  if (state->exit) co_return Result<void>{};
  co_return co_await kill_unit(state);
}

}  // namespace

asio::awaitable<StartResult> start_systemd_unit(asio::any_io_executor executor,
                                                const config::SystemdConfig& config, RunOptions options) {
  auto state = std::make_shared<State>(std::move(executor), config, std::move(options));
  const auto started = co_await connect_and_start(state);
  if (!started) co_return std::unexpected(unit_error(*state, ErrorCode::load_failed, started.error().detail));
  start_watching(state);
  co_return std::make_unique<SystemdUnit>(std::move(state));
}

asio::awaitable<StartResult> find_systemd_unit(asio::any_io_executor executor,
                                               const config::SystemdConfig& config, RunOptions options) {
  auto state = std::make_shared<State>(std::move(executor), config, std::move(options));
  const auto connected = co_await connect(state);
  if (!connected)
    co_return std::unexpected(unit_error(*state, ErrorCode::load_failed, connected.error().detail));
  if (!is_up(state->properties.active_state)) co_return nullptr;
  start_watching(state);
  co_return std::make_unique<SystemdUnit>(std::move(state));
}

}  // namespace mgpu::runner
