// Nothing is polled: one request to the engine returns when the container ends, another one streams the
// container's output. When the engine disconnects (it restarts; containers may keep running), both requests
// are repeated until it is back.
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

#include "gpu/process_table.h"
#include "runner/async_condition.h"
#include "runner/container_api.h"
#include "runner/log_ring.h"
#include "runner/port.h"
#include "runner/process_recovery.h"
#include "runner/run_state.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kOutputDrainLimit{1'000'000};  // for output still in transit after the end
constexpr Duration kReconnectDelay{1'000'000};    // before reconnecting to an engine that disconnected

struct State final : RunState {
  State(asio::any_io_executor ex, std::unique_ptr<ContainerApi> engine, ContainerFacts found,
        RunOptions given)
      : RunState(std::move(ex), std::move(given)),
        api(std::move(engine)),
        facts(std::move(found)),
        log(options.log_lines) {}

  void close() override;

  std::unique_ptr<ContainerApi> api;
  ContainerFacts facts;
  LogRing log;
  std::optional<http::Endpoint> endpoint{};
  bool following_output = false;  // output_request is open; `changed` is notified when it closes
  std::shared_ptr<http::ClientRequest> wait_request{};
  std::shared_ptr<http::ClientRequest> output_request{};
};

void State::close() {
  RunState::close();
  if (wait_request) wait_request->abort();
  if (output_request) output_request->abort();
}

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

// The container's exit code, once it has ended. Error: service_down (the engine disconnected).
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
  co_return fail(ErrorCode::service_down, "the engine's answer to wait has no exit code: " + *answer);
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

// How the container ended while the engine was unreachable. Null: it runs, or the engine does not respond.
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
      co_return state->record_exit(*std::move(status), state->log.tail(kExitLogLines));
    }
    const std::function<bool()> is_closed = [&s = *state] { return s.closed; };
    co_await state->changed.wait(is_closed, kReconnectDelay);
  }
}

asio::awaitable<bool> wait_until_ended(std::shared_ptr<State> state, Duration limit) {
  const std::function<bool()> is_ended = [&s = *state] { return s.exit.has_value(); };
  co_return co_await state->changed.wait(is_ended, limit);
}

std::string short_name(const State& state) { return "container " + state.facts.id.substr(0, 12); }

// Engines neither stop nor kill a paused container.
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
  // The container may have ended meanwhile; its recorded exit shows whether the refusal is an error.
  const Duration limit = killed ? kKillLimit : kOutputDrainLimit * 2;
  const bool ended = co_await wait_until_ended(state, limit);
  if (ended) co_return Result<void>{};
  if (killed) co_return std::unexpected(survived_kill_error(short_name(*state)));
  co_return fail(ErrorCode::eviction_failed, short_name(*state) + ": " + killed.error().detail);
}

// --- finding and creating ---

Error load_failure(const Error& error) { return {ErrorCode::load_failed, error.detail}; }

std::optional<std::uint16_t> port_from_label(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kPortLabel);
  if (label == facts.labels.end()) return std::nullopt;
  std::uint16_t port = 0;
  const char* end = label->second.data() + label->second.size();
  const auto [at, error] = std::from_chars(label->second.data(), end, port);
  return error == std::errc{} && at == end ? std::optional(port) : std::nullopt;
}

// The container with the configured name; without a name the consumer's container that runs, else any of its
// containers.
asio::awaitable<Result<std::optional<ContainerFacts>>> look_up(ContainerApi& api, std::string consumer,
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
                                                        const RunOptions& options,
                                                        std::optional<ContainerFacts> old) {
  if (old) {
    std::string id = old->id;
    const auto removed = co_await api.remove(std::move(id));
    if (!removed) co_return std::unexpected(removed.error());
  }
  std::optional<std::uint16_t> port;
  if (wants_port(options.url) || config::needs_free_port(config)) {
    const auto free = find_free_port();
    if (!free) co_return std::unexpected(free.error());
    port = *free;
  }
  std::string name = config::managed_container_name(consumer);
  auto body = creation_body(consumer, config, port, options.devices);
  body["Labels"][kStarterLabel] = to_string(current_daemon_instance()) + " " + boot_id();
  co_return co_await api.create(std::move(name), std::move(body));
}

class Container final : public RunnerOf<State> {
 public:
  using RunnerOf::RunnerOf;

  RunIdentity identity() const override;
  std::optional<http::Endpoint> endpoint() const override { return state()->endpoint; }
  std::vector<std::string> device_uuids() const override { return state()->facts.device_uuids; }
  std::vector<std::string> log_tail(std::size_t count) const override { return state()->log.tail(count); }
  bool owns_process(int pid) override {
    return gpu::read_cgroup(pid).container == state()->facts.id ||
           gpu::descends_from(pid, state()->facts.pid.value_or(0));
  }
  asio::awaitable<Result<void>> stop(Duration limit) override;
  asio::awaitable<Result<void>> kill() override;
};

RunIdentity Container::identity() const {
  if (!is_running()) return {};
  return {.pid = state()->facts.pid, .container_id = state()->facts.id};
}

asio::awaitable<Result<void>> Container::stop(Duration limit) {
  const auto state = this->state();
  if (state->exit) co_return Result<void>{};
  std::string id = state->facts.id;
  const auto stopped = co_await state->api->stop(std::move(id), limit);
  // A refusal may mean that it has ended meanwhile, or that it is paused.
  const Duration soon = stopped ? kKillLimit : Duration{0};
  const bool ended = co_await wait_until_ended(state, soon);
  if (ended) co_return Result<void>{};
  auto killed = co_await kill_container(state);
  if (!killed && !stopped) killed.error().detail += "; before: " + stopped.error().detail;
  co_return killed;
}

asio::awaitable<Result<void>> Container::kill() {
  const auto state = this->state();
  co_return co_await kill_container(state);
}

std::unique_ptr<Runner> make_watched_runner(asio::any_io_executor executor, std::unique_ptr<ContainerApi> api,
                                            ContainerFacts facts, RunOptions options, bool started) {
  const bool created_by_mgpu = facts.labels.contains(kConsumerLabel);
  auto state =
      std::make_shared<State>(std::move(executor), std::move(api), std::move(facts), std::move(options));
  state->owned = started || created_by_mgpu;
  state->endpoint = local_endpoint(state->options.url, port_from_label(state->facts));
  start_following_output(state, state->options.log_lines);
  asio::co_spawn(state->executor, watch_until_exit(state), asio::detached);
  return std::make_unique<Container>(std::move(state));
}

// Another running daemon that created the container, if any: then the container must be neither ended nor
// adopted here.
std::optional<DaemonInstance> find_live_creator(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kStarterLabel);
  if (label == facts.labels.end() || !label->second.ends_with(" " + boot_id())) return std::nullopt;
  const auto creator = parse_daemon_instance(label->second);
  return creator && is_other_live_daemon(*creator) ? creator : std::nullopt;
}

// The engine and the consumer's container in it, if there is one.
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
  auto facts = co_await look_up(**api, std::move(consumer), config);
  if (!facts) co_return std::unexpected(load_failure(facts.error()));
  co_return FoundContainer{*std::move(api), *std::move(facts)};
}

}  // namespace

asio::awaitable<StartResult> start_container(asio::any_io_executor executor, std::string consumer,
                                             const config::ContainerConfig& config, RunOptions options) {
  auto found = co_await connect_and_find(executor, consumer, config);
  if (!found) co_return std::unexpected(found.error());
  if (const auto creator = found->live_creator())
    co_return fail(ErrorCode::load_failed,
                   fmt::format("the container of {} belongs to another mgpu that runs (process {})", consumer,
                               creator->pid));
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
    auto created = co_await recreate_container(api, consumer, config, options, std::move(found->facts));
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
    // The engine may still start it although the request was abandoned; it must not take memory then.
    (void)co_await api.kill(std::move(id));
    co_return std::unexpected(load_failure(started.error()));
  }
  auto inspected = co_await api.inspect(std::move(id));
  if (!inspected) co_return std::unexpected(load_failure(inspected.error()));
  if (!*inspected) co_return fail(ErrorCode::load_failed, "the container was removed while it started");
  co_return make_watched_runner(executor, std::move(found->api), **std::move(inspected), std::move(options),
                                true);
}

asio::awaitable<StartResult> find_container(asio::any_io_executor executor, std::string consumer,
                                            const config::ContainerConfig& config, RunOptions options) {
  auto found = co_await connect_and_find(executor, std::move(consumer), config);
  if (!found) co_return std::unexpected(found.error());
  if (!found->is_serving() || found->live_creator()) co_return nullptr;
  co_return make_watched_runner(executor, std::move(found->api), *std::move(found->facts), std::move(options),
                                false);
}

}  // namespace mgpu::runner
