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

#include "runner/adopted.h"
#include "runner/changes.h"
#include "runner/container_api.h"
#include "runner/ending.h"
#include "runner/log_ring.h"
#include "runner/port.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kLastWordsLimit{1'000'000};  // for the output that is on its way when it ends
constexpr Duration kAskAgain{1'000'000};        // an engine that went away

}  // namespace

struct Container::State : std::enable_shared_from_this<Container::State> {
  State(asio::any_io_executor ex, std::unique_ptr<ContainerApi> engine, ContainerFacts found, Options given)
      : executor(std::move(ex)),
        api(std::move(engine)),
        facts(std::move(found)),
        log(given.log_lines),
        options(std::move(given)),
        changes(executor) {}

  void watch();
  void ended(ExitStatus status);
  void give_up();  // nobody wants to hear any more

  asio::any_io_executor executor;
  std::unique_ptr<ContainerApi> api;
  ContainerFacts facts;
  LogRing log;
  Options options;
  bool ours = false;
  std::optional<std::uint16_t> port{};
  std::optional<ExitStatus> exit{};
  bool closed = false;
  bool listening = false;  // its output is being read
  std::shared_ptr<http::ClientRequest> waiting{};
  std::shared_ptr<http::ClientRequest> output{};
  Changes changes;  // of exit, closed and listening
};

namespace {

using State = Container::State;

asio::awaitable<Result<std::string>> whole_answer(std::shared_ptr<http::ClientRequest> request) {
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
asio::awaitable<Result<std::optional<int>>> wait_for_end(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  auto request = co_await state->api->wait(std::move(id));
  if (!request) co_return std::unexpected(request.error());
  state->waiting = *request;
  if (state->closed) state->waiting->abort();
  const auto answer = co_await whole_answer(*request);
  state->waiting.reset();
  if (!answer) co_return std::unexpected(answer.error());
  if (const auto code = code_of(*answer)) co_return code;
  co_return fail(ErrorCode::service_down, "the engine did not wait: " + *answer);
}

asio::awaitable<void> listen(std::shared_ptr<State> state, std::size_t last_lines) {
  std::string id = state->facts.id;
  auto request = co_await state->api->follow_output(std::move(id), last_lines);
  if (request) {
    state->output = *request;
    if (state->closed) state->output->abort();
    const auto head = co_await (*request)->read_response_head();
    OutputFrames frames;
    while (head && head->status == 200) {
      const auto piece = co_await (*request)->read();
      if (!piece || piece->empty()) break;
      state->log.append(state->facts.tty ? *piece : frames.text_of(*piece));
    }
    state->output.reset();
  }
  state->listening = false;
  state->changes.tell();
}

void listen_from(const std::shared_ptr<State>& state, std::size_t last_lines) {
  if (std::exchange(state->listening, true)) return;
  asio::co_spawn(state->executor, listen(state, last_lines), asio::detached);
}

// After the engine went away: how the container fares. Nothing: it runs, or nobody can tell.
asio::awaitable<std::optional<ExitStatus>> ended_meanwhile(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  const auto facts = co_await state->api->inspect(std::move(id));
  if (!facts) co_return std::nullopt;
  if (!*facts) co_return ExitStatus{};  // removed
  if ((*facts)->running) co_return std::nullopt;
  co_return ExitStatus{.code = (*facts)->exit};
}

asio::awaitable<void> watch_to_the_end(std::shared_ptr<State> state) {
  while (!state->closed) {
    listen_from(state, 0);
    std::optional<ExitStatus> status;
    if (const auto code = co_await wait_for_end(state))
      status = ExitStatus{.code = *code};
    else
      status = co_await ended_meanwhile(state);
    if (state->closed) co_return;
    if (status) {
      const std::function<bool()> silent = [&s = *state] { return s.closed || !s.listening; };
      co_await state->changes.wait(silent, kLastWordsLimit);
      co_return state->ended(*std::move(status));
    }
    const std::function<bool()> closed = [&s = *state] { return s.closed; };
    co_await state->changes.wait(closed, kAskAgain);
  }
}

// What has ended by itself needs no asking; what has not is waited for.
asio::awaitable<bool> has_ended(std::shared_ptr<State> state, Duration limit) {
  const std::function<bool()> ended = [&s = *state] { return s.exit.has_value(); };
  co_return co_await state->changes.wait(ended, limit);
}

std::string name_of(const State& state) { return "container " + state.facts.id.substr(0, 12); }

// Engines neither stop nor kill what is paused.
asio::awaitable<bool> was_paused(std::shared_ptr<State> state) {
  std::string id = state->facts.id;
  const auto facts = co_await state->api->inspect(id);
  if (!facts || !*facts || !(*facts)->paused) co_return false;
  const auto goes_on = co_await state->api->unpause(std::move(id));
  co_return goes_on.has_value();
}

asio::awaitable<Result<void>> kill_it(std::shared_ptr<State> state) {
  if (state->exit) co_return Result<void>{};
  std::string id = state->facts.id;
  auto killed = co_await state->api->kill(id);
  if (!killed) {
    const bool again = co_await was_paused(state);
    if (again) killed = co_await state->api->kill(std::move(id));
  }
  // Engines refuse to kill what does not run (any more); only its end tells these from the others.
  const Duration limit = killed ? kKillLimit : kLastWordsLimit * 2;
  const bool over = co_await has_ended(state, limit);
  if (over) co_return Result<void>{};
  if (killed) co_return std::unexpected(lives_on(name_of(*state)));
  co_return fail(ErrorCode::eviction_failed, name_of(*state) + ": " + killed.error().detail);
}

// --- how one is had ---

Error load_failure(const Error& error) { return {ErrorCode::load_failed, error.detail}; }

std::optional<std::uint16_t> port_in(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kPortLabel);
  if (label == facts.labels.end()) return std::nullopt;
  std::uint16_t port = 0;
  const char* end = label->second.data() + label->second.size();
  const auto [at, error] = std::from_chars(label->second.data(), end, port);
  return error == std::errc{} && at == end ? std::optional(port) : std::nullopt;
}

// The container that is there: by its name, or the one of this consumer that runs (else any of them).
asio::awaitable<Result<std::optional<ContainerFacts>>> look_up(ContainerApi& api, std::string consumer,
                                                               const config::ContainerConfig& config) {
  if (!config.name.empty()) {
    std::string name = config.name;
    co_return co_await api.inspect(std::move(name));
  }
  std::string label = std::string(kConsumerLabel) + "=" + consumer;
  const auto ids = co_await api.labelled(std::move(label));
  if (!ids) co_return std::unexpected(ids.error());
  std::optional<ContainerFacts> best;
  for (std::string id : *ids) {
    auto facts = co_await api.inspect(std::move(id));
    if (!facts) co_return std::unexpected(facts.error());
    if (*facts && (!best || !best->running)) best = std::move(*facts);
  }
  co_return best;
}

asio::awaitable<Result<std::string>> make_anew(ContainerApi& api, std::string consumer,
                                               const config::ContainerConfig& config, bool needs_port,
                                               std::optional<ContainerFacts> old) {
  if (old) {
    std::string id = old->id;
    const auto removed = co_await api.remove(std::move(id));
    if (!removed) co_return std::unexpected(removed.error());
  }
  std::optional<std::uint16_t> port;
  if (needs_port || config::needs_free_port(config)) {
    const auto free = free_port();
    if (!free) co_return std::unexpected(free.error());
    port = *free;
  }
  std::string name = config::managed_container_name(consumer);
  auto body = creation(consumer, config, port);
  body["Labels"][kStarterLabel] = to_string(this_life()) + " " + boot_id();
  co_return co_await api.create(std::move(name), std::move(body));
}

std::unique_ptr<Runner> watched(asio::any_io_executor executor, std::unique_ptr<ContainerApi> api,
                                ContainerFacts facts, Options options, bool started) {
  const bool made_by_us = facts.labels.contains(kConsumerLabel);
  auto state =
      std::make_shared<State>(std::move(executor), std::move(api), std::move(facts), std::move(options));
  state->ours = started || made_by_us;
  state->port = port_in(state->facts);
  state->watch();
  return std::make_unique<Container>(std::move(state));
}

// The daemon that made the container, if that is another one and lives: the container is neither ours to end
// nor to take over.
std::optional<Life> living_maker(const ContainerFacts& facts) {
  const auto label = facts.labels.find(kStarterLabel);
  if (label == facts.labels.end() || !label->second.ends_with(" " + boot_id())) return std::nullopt;
  const auto life = life_in(label->second);
  return life && is_another_living(*life) ? life : std::nullopt;
}

// The engine, and what it has of this consumer.
struct Found {
  std::unique_ptr<ContainerApi> api{};
  std::optional<ContainerFacts> facts{};
  bool serves() const { return facts && facts->running && !facts->paused; }
  std::optional<Life> maker() const { return facts ? living_maker(*facts) : std::nullopt; }
};

asio::awaitable<Result<Found>> look(asio::any_io_executor executor, std::string consumer,
                                    const config::ContainerConfig& config) {
  auto api = co_await ContainerApi::connect(std::move(executor), config);
  if (!api) co_return std::unexpected(load_failure(api.error()));
  auto facts = co_await look_up(**api, std::move(consumer), config);
  if (!facts) co_return std::unexpected(load_failure(facts.error()));
  co_return Found{*std::move(api), *std::move(facts)};
}

}  // namespace

asio::awaitable<Started> Container::start(asio::any_io_executor executor, std::string consumer,
                                          const config::ContainerConfig& config, Options options) {
  auto found = co_await look(executor, consumer, config);
  if (!found) co_return std::unexpected(found.error());
  if (const auto maker = found->maker())
    co_return fail(ErrorCode::load_failed,
                   fmt::format("the container of {} belongs to another mgpu (process {}), "
                               "which runs",
                               consumer, maker->pid));
  if (found->serves())
    co_return watched(executor, std::move(found->api), *std::move(found->facts), std::move(options), false);
  if (!found->facts && config.image.empty())
    co_return fail(ErrorCode::load_failed,
                   fmt::format("{} has no container \"{}\"", found->api->socket(), config.name));

  ContainerApi& api = *found->api;
  const bool paused = found->facts && found->facts->paused;
  std::string id = found->facts ? found->facts->id : "";
  if (!config.image.empty() && !paused) {
    const bool needs_port = options.needs_port;
    auto made = co_await make_anew(api, consumer, config, needs_port, std::move(found->facts));
    if (!made) co_return std::unexpected(load_failure(made.error()));
    id = *std::move(made);
  }
  const Duration limit = options.start_limit;
  Result<void> going{};
  if (paused)
    going = co_await api.unpause(id);
  else
    going = co_await api.start(id, limit);
  if (!going) {
    (void)co_await api.kill(std::move(id));  // what nobody waits for must not take memory later
    co_return std::unexpected(load_failure(going.error()));
  }
  auto now = co_await api.inspect(std::move(id));
  if (!now) co_return std::unexpected(load_failure(now.error()));
  if (!*now) co_return fail(ErrorCode::load_failed, "the container was removed while it started");
  co_return watched(executor, std::move(found->api), **std::move(now), std::move(options), true);
}

asio::awaitable<Started> Container::find(asio::any_io_executor executor, std::string consumer,
                                         const config::ContainerConfig& config, Options options) {
  auto found = co_await look(executor, std::move(consumer), config);
  if (!found) co_return std::unexpected(found.error());
  if (!found->serves() || found->maker()) co_return nullptr;
  co_return watched(executor, std::move(found->api), *std::move(found->facts), std::move(options), false);
}

void Container::State::watch() {
  listen_from(shared_from_this(), options.log_lines);
  asio::co_spawn(executor, watch_to_the_end(shared_from_this()), asio::detached);
}

void Container::State::ended(ExitStatus status) {
  exit = std::move(status);
  exit->log = log.tail(kExitLogLines);
  changes.tell();
  if (auto told = std::exchange(options.on_exit, {}))
    asio::post(executor, [told = std::move(told), now = *exit] { told(now); });
}

void Container::State::give_up() {
  closed = true;
  options.on_exit = {};
  if (waiting) waiting->abort();
  if (output) output->abort();
  changes.tell();
}

Container::Container(std::shared_ptr<State> state) : state_(std::move(state)) {}
Container::~Container() { state_->give_up(); }

Identity Container::identity() const {
  if (!running()) return {};
  return {.pid = state_->facts.pid, .container_id = state_->facts.id};
}
std::optional<std::uint16_t> Container::port() const { return state_->port; }
bool Container::running() const { return !state_->exit; }
const std::optional<ExitStatus>& Container::exit() const { return state_->exit; }
std::vector<std::string> Container::log_tail(std::size_t count) const { return state_->log.tail(count); }
bool Container::ours() const { return state_->ours; }

asio::awaitable<Result<void>> Container::stop(Duration limit) {
  const auto state = state_;
  if (state->exit) co_return Result<void>{};
  std::string id = state->facts.id;
  const auto stopped = co_await state->api->stop(std::move(id), limit);
  // Also a refusal may mean that it has ended, or only that it is paused.
  const Duration soon = stopped ? kKillLimit : Duration{0};
  const bool over = co_await has_ended(state, soon);
  if (over) co_return Result<void>{};
  auto killed = co_await kill_it(state);
  if (!killed && !stopped) killed.error().detail += "; before: " + stopped.error().detail;
  co_return killed;
}

asio::awaitable<Result<void>> Container::kill() {
  const auto state = state_;
  co_return co_await kill_it(state);
}

}  // namespace mgpu::runner
