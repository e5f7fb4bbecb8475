// systemd works by jobs: what starts or stops a unit is queued, and a signal (JobRemoved) tells how it ended.
// That signal may overtake the answer that names the job, so results are kept from before it is asked for.
// What becomes of the unit later is told by PropertiesChanged, of the service first and then of the unit. A
// bus that goes away (it is restarted) is called again until it is back; the unit lives on meanwhile.
#include "runner/unit.h"

#include <csignal>
#include <map>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <sys/wait.h>

#include "runner/bus.h"
#include "runner/changes.h"
#include "runner/ending.h"
#include "runner/unit_log.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kAskLimit{10'000'000};  // of a call; polkit may think
constexpr Duration kCallAgain{1'000'000};  // a bus that went away
constexpr std::size_t kJobsKept = 64;      // results that nobody may ever ask for

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr const char* kUnit = "org.freedesktop.systemd1.Unit";
constexpr const char* kUnitService = "org.freedesktop.systemd1.Service";
constexpr const char* kProperties = "org.freedesktop.DBus.Properties";

bool is_up(std::string_view active_state) {
  return active_state == "active" || active_state == "reloading" || active_state == "refreshing";
}

// Nothing of it is left; `activating` after it was up means that systemd starts it anew (Restart=).
bool is_over(std::string_view active_state) { return !is_up(active_state) && active_state != "deactivating"; }

// What of a unit's properties matters here, as far as it was told.
struct Properties {
  std::string load_state{};
  std::string active_state{};
  std::optional<std::int32_t> main_pid{};
  std::optional<std::int32_t> exit_code{};  // CLD_EXITED, CLD_KILLED, ...
  std::optional<std::int32_t> exit_status{};

  void take(std::string_view name, sd_bus_message* value);
};

void Properties::take(std::string_view name, sd_bus_message* value) {
  const auto text = [&](std::string& into) {
    const char* read = nullptr;
    if (sd_bus_message_read(value, "v", "s", &read) >= 0) into = read;
  };
  const auto number = [&](std::optional<std::int32_t>& into, const char* type) {
    std::int32_t read = 0;  // pids are small enough for both types
    if (sd_bus_message_read(value, "v", type, &read) >= 0) into = read;
  };
  if (name == "LoadState") return text(load_state);
  if (name == "ActiveState") return text(active_state);
  if (name == "MainPID") return number(main_pid, "u");
  if (name == "ExecMainCode") return number(exit_code, "i");
  if (name == "ExecMainStatus") return number(exit_status, "i");
  sd_bus_message_skip(value, "v");
}

// a{sv}, where the message stands.
void take_all(Properties& properties, sd_bus_message* message) {
  if (sd_bus_message_enter_container(message, 'a', "{sv}") < 0) return;
  while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
    const char* name = nullptr;
    if (sd_bus_message_read(message, "s", &name) < 0) return;
    properties.take(name, message);
    sd_bus_message_exit_container(message);
  }
  sd_bus_message_exit_container(message);
}

ExitStatus exit_of(const Properties& properties) {
  const int code = properties.exit_code.value_or(0);
  if (code == CLD_EXITED) return {.code = properties.exit_status};
  if (code == CLD_KILLED || code == CLD_DUMPED) return {.signal = properties.exit_status};
  return {};
}

Method of_manager(const char* member) { return {kService, kManagerPath, kManager, member}; }

}  // namespace

struct Unit::State : std::enable_shared_from_this<Unit::State> {
  State(asio::any_io_executor ex, config::SystemdConfig unit, Options given)
      : executor(std::move(ex)), config(std::move(unit)), options(std::move(given)), changes(executor) {}

  void hear_all();
  void properties_changed(sd_bus_message* message);
  void job_removed(sd_bus_message* message);
  void look_at_state();
  void give_up();

  asio::any_io_executor executor;
  const config::SystemdConfig config;
  Options options;
  std::unique_ptr<Bus> bus{};
  std::string path{};  // of the unit on the bus
  Properties now{};
  std::map<std::string, std::string> jobs{};  // path -> result
  bool watched = false;                       // it was up: from now on leaving that is its end
  bool asked = false;                         // we asked for its end
  bool ours = false;
  bool calling = false;  // the bus was lost: call_again() runs
  bool closed = false;
  std::optional<ExitStatus> exit{};
  Changes changes;  // of all of these
};

namespace {

using State = Unit::State;

Error unit_error(const State& state, ErrorCode code, const std::string& why) {
  return {code, state.config.unit + ": " + why};
}

asio::awaitable<Result<std::string>> path_from(std::shared_ptr<State> state, Method method,
                                               std::function<void(sd_bus_message*)> fill) {
  const Duration limit = kAskLimit;
  const auto reply = co_await state->bus->call(std::move(method), std::move(fill), limit);
  if (!reply) co_return std::unexpected(reply.error());
  const char* path = nullptr;
  if (sd_bus_message_read(reply->get(), "o", &path) < 0)
    co_return fail(ErrorCode::load_failed, "systemd's answer names no object");
  co_return std::string(path);
}

std::function<void(sd_bus_message*)> strings(std::string one, std::string two = "") {
  return [one = std::move(one), two = std::move(two)](sd_bus_message* message) {
    sd_bus_message_append(message, "s", one.c_str());
    if (!two.empty()) sd_bus_message_append(message, "s", two.c_str());
  };
}

asio::awaitable<Result<void>> read_properties(std::shared_ptr<State> state, const char* interface) {
  Method method{kService, state->path, kProperties, "GetAll"};
  auto fill = strings(interface);
  const Duration limit = kAskLimit;
  const auto reply = co_await state->bus->call(std::move(method), std::move(fill), limit);
  if (!reply) co_return std::unexpected(reply.error());
  take_all(state->now, reply->get());
  co_return Result<void>{};
}

// From nothing to all that is known of the unit, with the ears open before anything is asked.
asio::awaitable<Result<void>> connect(std::shared_ptr<State> state) {
  auto bus = Bus::open(state->executor, state->config.bus);
  if (!bus) co_return std::unexpected(bus.error());
  state->bus = *std::move(bus);
  state->hear_all();
  const Duration limit = kAskLimit;
  Method subscribe = of_manager("Subscribe");
  std::function<void(sd_bus_message*)> nothing;
  const auto subscribed = co_await state->bus->call(std::move(subscribe), std::move(nothing), limit);
  if (!subscribed) co_return std::unexpected(subscribed.error());
  Method load = of_manager("LoadUnit");
  auto name = strings(state->config.unit);
  auto path = co_await path_from(state, std::move(load), std::move(name));
  if (!path) co_return std::unexpected(path.error());
  state->path = *std::move(path);
  const auto unit = co_await read_properties(state, kUnit);
  if (!unit) co_return unit;
  if (state->now.load_state == "not-found") co_return fail(ErrorCode::not_found, "there is no such unit");
  // Units that are no services have no such properties.
  (void)co_await read_properties(state, kUnitService);
  co_return Result<void>{};
}

// Until the job has ended, or nobody can tell any more. The result is systemd's word: "done", "failed", ...
asio::awaitable<Result<std::string>> ended(std::shared_ptr<State> state, std::string job, Duration limit) {
  const std::function<bool()> told = [&s = *state, &job] { return s.jobs.contains(job) || s.bus->lost(); };
  const bool in_time = co_await state->changes.wait(told, limit);
  if (const auto result = state->jobs.find(job); result != state->jobs.end()) co_return result->second;
  if (in_time) co_return fail(ErrorCode::service_down, "the bus went away");
  co_return fail(ErrorCode::load_failed, "its job takes longer than " + mgpu::to_string(limit));
}

asio::awaitable<Result<std::string>> job(std::shared_ptr<State> state, const char* member) {
  Method method = of_manager(member);
  auto fill = strings(state->config.unit, "replace");
  co_return co_await path_from(state, std::move(method), std::move(fill));
}

asio::awaitable<Result<void>> send_sigkill(std::shared_ptr<State> state) {
  Method method = of_manager("KillUnit");
  const Duration limit = kAskLimit;
  std::function<void(sd_bus_message*)> fill = [unit = state->config.unit](sd_bus_message* message) {
    sd_bus_message_append(message, "ssi", unit.c_str(), "all", SIGKILL);
  };
  const auto reply = co_await state->bus->call(std::move(method), std::move(fill), limit);
  if (!reply) co_return std::unexpected(reply.error());
  co_return Result<void>{};
}

asio::awaitable<bool> over(std::shared_ptr<State> state, Duration limit) {
  const std::function<bool()> is_gone = [&s = *state] { return is_over(s.now.active_state); };
  co_return co_await state->changes.wait(is_gone, limit);
}

// --- watching ---

asio::awaitable<void> call_again(std::shared_ptr<State> state) {
  while (!state->closed && !state->exit) {
    const auto connected = co_await connect(state);
    if (connected && !state->bus->lost()) break;
    const std::function<bool()> closed = [&s = *state] { return s.closed; };
    const Duration pause = kCallAgain;
    co_await state->changes.wait(closed, pause);
  }
  state->calling = false;
  state->look_at_state();
}

void watch(const std::shared_ptr<State>& state) {
  state->watched = true;
  state->look_at_state();
}

// --- the end ---

asio::awaitable<Result<void>> kill_it(std::shared_ptr<State> state) {
  state->asked = true;
  (void)co_await job(state, "StopUnit");  // lest it is started again; if that fails, so will what follows
  const auto killed = co_await send_sigkill(state);
  const Duration limit = killed ? kKillLimit : Duration{0};
  const bool gone = co_await over(state, limit);
  if (gone) co_return Result<void>{};
  if (killed) co_return std::unexpected(lives_on(state->config.unit));
  co_return std::unexpected(unit_error(*state, ErrorCode::eviction_failed, killed.error().detail));
}

// --- the beginning ---

asio::awaitable<Result<void>> start_job(std::shared_ptr<State> state) {
  const auto queued = co_await job(state, "StartUnit");
  if (!queued) co_return std::unexpected(queued.error());
  const Duration limit = state->options.start_limit;
  std::string path = *queued;
  const auto result = co_await ended(state, std::move(path), limit);
  if (!result) {
    (void)co_await job(state, "StopUnit");  // what nobody waits for must not take memory later
    co_return std::unexpected(result.error());
  }
  if (*result != "done") {
    const ExitStatus status = exit_of(state->now);
    co_return fail(ErrorCode::load_failed,
                   fmt::format("its start ended with \"{}\"; its process {}", *result, to_string(status)));
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> bring_up(std::shared_ptr<State> state) {
  const auto connected = co_await connect(state);
  if (!connected) co_return connected;
  if (is_up(state->now.active_state)) co_return Result<void>{};
  state->ours = true;
  const auto started = co_await start_job(state);
  if (!started) co_return started;
  // The job's end and the new state are told one after the other.
  const auto seen = co_await read_properties(state, kUnit);
  if (!seen) co_return seen;
  (void)co_await read_properties(state, kUnitService);
  if (!is_up(state->now.active_state)) co_return fail(ErrorCode::load_failed, "it ended at once");
  co_return Result<void>{};
}

}  // namespace

void Unit::State::hear_all() {
  const std::string from = std::string("type='signal',sender='") + kService + "',";
  bus->match(from + "interface='" + kManager + "',member='JobRemoved'",
             [this](sd_bus_message* message) { job_removed(message); });
  bus->match(from + "interface='" + kProperties + "',member='PropertiesChanged'",
             [this](sd_bus_message* message) { properties_changed(message); });
  bus->on_lost([this] {
    changes.tell();
    // A bus that is lost while it is called again is the caller's matter: two would take it from each other.
    if (watched && !std::exchange(calling, true))
      asio::co_spawn(executor, call_again(shared_from_this()), asio::detached);
  });
}

void Unit::State::job_removed(sd_bus_message* message) {
  std::uint32_t id = 0;
  const char* job = nullptr;
  const char* unit = nullptr;
  const char* result = nullptr;
  if (sd_bus_message_read(message, "uoss", &id, &job, &unit, &result) < 0 || config.unit != unit) return;
  if (jobs.size() >= kJobsKept) jobs.clear();
  jobs[job] = result;
  changes.tell();
}

void Unit::State::properties_changed(sd_bus_message* message) {
  const char* from = sd_bus_message_get_path(message);
  const char* interface = nullptr;
  if (from == nullptr || path != from || sd_bus_message_read(message, "s", &interface) < 0) return;
  take_all(now, message);
  look_at_state();
}

void Unit::State::look_at_state() {
  changes.tell();
  // While it ends because we asked it to, its end is when nothing is left.
  const bool left = asked ? is_over(now.active_state) : !is_up(now.active_state);
  if (!watched || exit || !left) return;
  exit = exit_of(now);
  exit->log = unit_log(config, kExitLogLines);
  if (auto told = std::exchange(options.on_exit, {}))
    asio::post(executor, [told = std::move(told), status = *exit] { told(status); });
}

void Unit::State::give_up() {
  closed = true;
  watched = false;
  options.on_exit = {};
  changes.tell();
}

asio::awaitable<Started> Unit::start(asio::any_io_executor executor, const config::SystemdConfig& config,
                                     Options options) {
  auto state = std::make_shared<State>(std::move(executor), config, std::move(options));
  const auto up = co_await bring_up(state);
  if (!up) co_return std::unexpected(unit_error(*state, ErrorCode::load_failed, up.error().detail));
  watch(state);
  co_return std::make_unique<Unit>(std::move(state));
}

asio::awaitable<Started> Unit::find(asio::any_io_executor executor, const config::SystemdConfig& config,
                                    Options options) {
  auto state = std::make_shared<State>(std::move(executor), config, std::move(options));
  const auto connected = co_await connect(state);
  if (!connected)
    co_return std::unexpected(unit_error(*state, ErrorCode::load_failed, connected.error().detail));
  if (!is_up(state->now.active_state)) co_return nullptr;
  watch(state);
  co_return std::make_unique<Unit>(std::move(state));
}

Unit::Unit(std::shared_ptr<State> state) : state_(std::move(state)) {}
Unit::~Unit() { state_->give_up(); }

Identity Unit::identity() const {
  if (!running()) return {};
  Identity identity{.unit = state_->config.unit};
  if (const int pid = state_->now.main_pid.value_or(0); pid > 0) identity.pid = pid;
  return identity;
}
bool Unit::running() const { return !state_->exit; }
const std::optional<ExitStatus>& Unit::exit() const { return state_->exit; }
std::vector<std::string> Unit::log_tail(std::size_t count) const { return unit_log(state_->config, count); }
bool Unit::ours() const { return state_->ours; }

asio::awaitable<Result<void>> Unit::stop(Duration limit) {
  const auto state = state_;
  if (state->exit) co_return Result<void>{};
  state->asked = true;
  const auto queued = co_await job(state, "StopUnit");
  if (!queued)
    co_return std::unexpected(unit_error(*state, ErrorCode::eviction_failed, queued.error().detail));
  const bool gone = co_await over(state, limit);
  if (gone) co_return Result<void>{};
  co_return co_await kill_it(state);
}

asio::awaitable<Result<void>> Unit::kill() {
  const auto state = state_;
  if (state->exit) co_return Result<void>{};
  co_return co_await kill_it(state);
}

}  // namespace mgpu::runner
