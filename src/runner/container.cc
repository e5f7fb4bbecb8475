// A run is watched through one request that the engine answers when the container ends, and listened to
// through another that brings its output as it comes: nothing is polled. If the engine itself goes away (it
// is restarted; containers may live on), it is asked again until it is back.
#include "runner/container.h"

#include <charconv>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/async_condition.h"
#include "runner/container_api.h"
#include "runner/log_ring.h"
#include "runner/port.h"
#include "runner/process_recovery.h"
#include "runner/termination.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kOutputDrainLimit{1'000'000};  // for the output that is on its way when it ends
constexpr Duration kReconnectDelay{1'000'000};    // an engine that went away

}  // namespace

struct Container::State : std::enable_shared_from_this<Container::State> {
  State(asio::any_io_executor ex, std::unique_ptr<ContainerApi> engine, ContainerFacts found,
        RunOptions given)
      : executor(std::move(ex)),
        api(std::move(engine)),
        facts(std::move(found)),
        log(given.log_lines),
        options(std::move(given)),
        changed(executor) {}

  void watch();
  void record_exit(ExitStatus status);
  void close();  // nobody wants to hear any more

  asio::any_io_executor executor;
  std::unique_ptr<ContainerApi> api;
  ContainerFacts facts;
  LogRing log;
  RunOptions options;
  bool owned = false;
  std::optional<std::uint16_t> port{};
  std::optional<ExitStatus> exit{};
  bool closed = false;
  bool following_output = false;  // its output is being read
  std::shared_ptr<http::ClientRequest> wait_request{};
  std::shared_ptr<http::ClientRequest> output_request{};
  AsyncCondition changed;  // of exit, closed and listening
};

namespace {

using State = Container::State;

asio::awaitable<Result<std::string>> read_whole_response(std::shared_ptr<http::ClientRequest> request) {
  const auto head = co_await request->read_response_head();
  if (!head) co_return std::unexpected(head.error());
  std::string all;
  while (true) {
    const auto piece = co_await request->read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return all;
    all += *piece;
  }
}

// The engine answers when the container has ended. Error: service_down (the engine went away).
asio::awaitable<Result<std::optional<int>>> wait_for_exit(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  auto request = co_await state->api->wait(std::move(id));
  if (!request) co_return std::unexpected(request.error());
  state->wait_request = *request;
  if (state->closed) state->wait_request->abort();
  const auto answer = co_await read_whole_response(*request);
  state->wait_request.reset();
  if (!answer) co_return std::unexpected(answer.error());
  if (const auto code = parse_exit_code(*answer)) co_return code;
  co_return fail(ErrorCode::service_down, "the engine did not wait: " + *answer);
}

asio::awaitable<void> follow_output(std::shared_ptr<State> state, std::size_t last_lines) {
  std::string id = state->facts.id;
  auto request = co_await state->api->follow_output(std::move(id), last_lines);
  if (request) {
    state->output_request = *request;
    if (state->closed) state->output_request->abort();
    const auto head = co_await (*request)->read_response_head();
    OutputFrameDecoder decoder;
    while (head && head->status == 200) {
      const auto piece = co_await (*request)->read();
      if (!piece || piece->empty()) break;
      state->log.append(state->facts.tty ? *piece : decoder.decode(*piece));
    }
    state->output_request.reset();
  }
  state->following_output = false;
  state->changed.notify_all();
}

void start_following_output(const std::shared_ptr<State>& state, std::size_t last_lines) {
  if (std::exchange(state->following_output, true)) return;
  asio::co_spawn(state->executor, follow_output(state, last_lines), asio::detached);
}

// After the engine went away: how the container fares. Nothing: it runs, or nobody can tell.
asio::awaitable<std::optional<ExitStatus>> query_exit(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  const auto facts = co_await state->api->inspect(std::move(id));
  if (!facts) co_return std::nullopt;
  if (!*facts) co_return ExitStatus{};  // removed
  if ((*facts)->running) co_return std::nullopt;
  co_return ExitStatus{.code = (*facts)->exit};
}

asio::awaitable<void> watch_until_exit(std::shared_ptr<State> state) {
  while (!state->closed) {
    start_following_output(state, 0);
    std::optional<ExitStatus> status;
    if (const auto code = co_await wait_for_exit(state))
      status = ExitStatus{.code = *code};
    else
      status = co_await query_exit(state);
    if (state->closed) co_return;
    if (status) {
      const std::function<bool()> output_ended = [&s = *state] { return s.closed || !s.following_output; };
      co_await state->changed.wait(output_ended, kOutputDrainLimit);
      co_return state->record_exit(*std::move(status));
    }
    const std::function<bool()> is_closed = [&s = *state] { return s.closed; };
    co_await state->changed.wait(is_closed, kReconnectDelay);
  }
}

// What has ended by itself needs no asking; what has not is waited for.
asio::awaitable<bool> wait_until_ended(std::shared_ptr<State> state, Duration limit) {
  const std::function<bool()> is_ended = [&s = *state] { return s.exit.has_value(); };
  co_return co_await state->changed.wait(is_ended, limit);
}

std::string short_name(const State& state) { return "container " + state.facts.id.substr(0, 12); }

// Engines neither stop nor kill what is paused.
asio::awaitable<bool> unpause_if_paused(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  const auto facts = co_await state->api->inspect(id);
  if (!facts || !*facts || !(*facts)->paused) co_return false;
  const auto unpaused = co_await state->api->unpause(std::move(id));
  co_return unpaused.has_value();
}

asio::awaitable<Result<void>> kill_container(std::shared_ptr<State> state) {
  if (state->exit) co_return Result<void>{};
  std::string id = state->facts.id;
  auto killed = co_await state->api->kill(id);
  if (!killed) {
    const bool unpaused = co_await unpause_if_paused(state);
    if (unpaused) killed = co_await state->api->kill(std::move(id));
  }
  // Engines refuse to kill what does not run (any more); only its end tells these from the others.
  const Duration limit = killed ? kKillLimit : kOutputDrainLimit * 2;
  const bool ended = co_await wait_until_ended(state, limit);
  if (ended) co_return Result<void>{};
  if (killed) co_return std::unexpected(survived_kill_error(short_name(*state)));
  co_return fail(ErrorCode::eviction_failed, short_name(*state) + ": " + killed.error().detail);
}

// --- how one is had ---

Error load_failure(const Error& error) { return {ErrorCode::load_failed, error.detail}; }

std::optional<std::uint16_t> port_from_label(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kPortLabel);
  if (label == facts.labels.end()) return std::nullopt;
  std::uint16_t port = 0;
  const char* end = label->second.data() + label->second.size();
  const auto [at, error] = std::from_chars(label->second.data(), end, port);
  return error == std::errc{} && at == end ? std::optional(port) : std::nullopt;
}

// The container that is there: by its name, or the one of this consumer that runs (else any of them).
asio::awaitable<Result<std::optional<ContainerFacts>>> find_container(ContainerApi& api, std::string consumer,
                                                                      const config::ContainerConfig& config) {
  if (!config.name.empty()) {
    std::string name = config.name;
    co_return co_await api.inspect(std::move(name));
  }
  std::string label = std::string(kConsumerLabel) + "=" + consumer;
  const auto ids = co_await api.list_by_label(std::move(label));
  if (!ids) co_return std::unexpected(ids.error());
  std::optional<ContainerFacts> best;
  for (std::string id : *ids) {
    auto facts = co_await api.inspect(std::move(id));
    if (!facts) co_return std::unexpected(facts.error());
    if (*facts && (!best || !best->running)) best = std::move(*facts);
  }
  co_return best;
}

asio::awaitable<Result<std::string>> recreate_container(ContainerApi& api, std::string consumer,
                                                        const config::ContainerConfig& config,
                                                        bool needs_port, std::optional<ContainerFacts> old) {
  if (old) {
    std::string id = old->id;
    const auto removed = co_await api.remove(std::move(id));
    if (!removed) co_return std::unexpected(removed.error());
  }
  std::optional<std::uint16_t> port;
  if (needs_port || config::needs_free_port(config)) {
    const auto free = find_free_port();
    if (!free) co_return std::unexpected(free.error());
    port = *free;
  }
  std::string name = config::managed_container_name(consumer);
  auto body = creation_body(consumer, config, port);
  body["Labels"][kStarterLabel] = to_string(current_daemon_instance()) + " " + boot_id();
  co_return co_await api.create(std::move(name), std::move(body));
}

std::unique_ptr<Runner> make_watched_runner(asio::any_io_executor executor, std::unique_ptr<ContainerApi> api,
                                            ContainerFacts facts, RunOptions options, bool started) {
  const bool made_by_us = facts.labels.contains(kConsumerLabel);
  auto state =
      std::make_shared<State>(std::move(executor), std::move(api), std::move(facts), std::move(options));
  state->owned = started || made_by_us;
  state->port = port_from_label(state->facts);
  state->watch();
  return std::make_unique<Container>(std::move(state));
}

// The daemon that made the container, if that is another one and lives: the container is neither ours to end
// nor to take over.
std::optional<DaemonInstance> find_live_creator(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kStarterLabel);
  if (label == facts.labels.end() || !label->second.ends_with(" " + boot_id())) return std::nullopt;
  const auto creator = parse_daemon_instance(label->second);
  return creator && is_other_live_daemon(*creator) ? creator : std::nullopt;
}

// The engine, and what it has of this consumer.
struct FoundContainer {
  std::unique_ptr<ContainerApi> api{};
  std::optional<ContainerFacts> facts{};
  bool is_serving() const { return facts && facts->running && !facts->paused; }
  std::optional<DaemonInstance> live_creator() const {
    return facts ? find_live_creator(*facts) : std::nullopt;
  }
};

asio::awaitable<Result<FoundContainer>> connect_and_find(asio::any_io_executor executor, std::string consumer,
                                                         const config::ContainerConfig& config) {
  auto api = co_await ContainerApi::connect(std::move(executor), config);
  if (!api) co_return std::unexpected(load_failure(api.error()));
  auto facts = co_await find_container(**api, std::move(consumer), config);
  if (!facts) co_return std::unexpected(load_failure(facts.error()));
  co_return FoundContainer{*std::move(api), *std::move(facts)};
}

}  // namespace

asio::awaitable<StartResult> Container::start(asio::any_io_executor executor, std::string consumer,
                                              const config::ContainerConfig& config, RunOptions options) {
  auto found = co_await connect_and_find(executor, consumer, config);
  if (!found) co_return std::unexpected(found.error());
  if (const auto creator = found->live_creator())
    co_return fail(ErrorCode::load_failed,
                   fmt::format("the container of {} belongs to another mgpu (process {}), "
                               "which runs",
                               consumer, creator->pid));
  if (found->is_serving())
    co_return make_watched_runner(executor, std::move(found->api), *std::move(found->facts),
                                  std::move(options), false);
  if (!found->facts && config.image.empty())
    co_return fail(ErrorCode::load_failed,
                   fmt::format("{} has no container \"{}\"", found->api->socket(), config.name));

  ContainerApi& api = *found->api;
  const bool paused = found->facts && found->facts->paused;
  std::string id = found->facts ? found->facts->id : "";
  if (!config.image.empty() && !paused) {
    const bool needs_port = options.needs_port;
    auto created = co_await recreate_container(api, consumer, config, needs_port, std::move(found->facts));
    if (!created) co_return std::unexpected(load_failure(created.error()));
    id = *std::move(created);
  }
  const Duration limit = options.start_limit;
  Result<void> started{};
  if (paused)
    started = co_await api.unpause(id);
  else
    started = co_await api.start(id, limit);
  if (!started) {
    (void)co_await api.kill(std::move(id));  // what nobody waits for must not take memory later
    co_return std::unexpected(load_failure(started.error()));
  }
  auto inspected = co_await api.inspect(std::move(id));
  if (!inspected) co_return std::unexpected(load_failure(inspected.error()));
  if (!*inspected) co_return fail(ErrorCode::load_failed, "the container was removed while it started");
  co_return make_watched_runner(executor, std::move(found->api), **std::move(inspected), std::move(options),
                                true);
}

asio::awaitable<StartResult> Container::find(asio::any_io_executor executor, std::string consumer,
                                             const config::ContainerConfig& config, RunOptions options) {
  auto found = co_await connect_and_find(executor, std::move(consumer), config);
  if (!found) co_return std::unexpected(found.error());
  if (!found->is_serving() || found->live_creator()) co_return nullptr;
  co_return make_watched_runner(executor, std::move(found->api), *std::move(found->facts), std::move(options),
                                false);
}

void Container::State::watch() {
  start_following_output(shared_from_this(), options.log_lines);
  asio::co_spawn(executor, watch_until_exit(shared_from_this()), asio::detached);
}

void Container::State::record_exit(ExitStatus status) {
  exit = std::move(status);
  exit->log = log.tail(kExitLogLines);
  changed.notify_all();
  if (auto callback = std::exchange(options.on_exit, {}))
    asio::post(executor, [told = std::move(callback), now = *exit] { told(now); });
}

void Container::State::close() {
  closed = true;
  options.on_exit = {};
  if (wait_request) wait_request->abort();
  if (output_request) output_request->abort();
  changed.notify_all();
}

Container::Container(std::shared_ptr<State> state) : state_(std::move(state)) {}
Container::~Container() { state_->close(); }

RunIdentity Container::identity() const {
  if (!is_running()) return {};
  return {.pid = state_->facts.pid, .container_id = state_->facts.id};
}
std::optional<std::uint16_t> Container::port() const { return state_->port; }
bool Container::is_running() const { return !state_->exit; }
const std::optional<ExitStatus>& Container::exit_status() const { return state_->exit; }
std::vector<std::string> Container::log_tail(std::size_t count) const { return state_->log.tail(count); }
bool Container::is_owned() const { return state_->owned; }

asio::awaitable<Result<void>> Container::stop(Duration limit) {
  const auto state = state_;
  if (state->exit) co_return Result<void>{};
  std::string id = state->facts.id;
  const auto stopped = co_await state->api->stop(std::move(id), limit);
  // Also a refusal may mean that it has ended, or only that it is paused.
  const Duration soon = stopped ? kKillLimit : Duration{0};
  const bool ended = co_await wait_until_ended(state, soon);
  if (ended) co_return Result<void>{};
  auto killed = co_await kill_container(state);
  if (!killed && !stopped) killed.error().detail += "; before: " + stopped.error().detail;
  co_return killed;
}

asio::awaitable<Result<void>> Container::kill() {
  const auto state = state_;
  co_return co_await kill_container(state);
}

}  // namespace mgpu::runner
