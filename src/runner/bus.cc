// sd-bus says what it waits for (readable, writable, a moment); we wait for that, let it work, and ask again.
// Its callbacks only note what came and wake who waits: they never run a coroutine inside sd_bus_process.
#include "runner/bus.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "runner/changes.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kAfterTheBus{1'000'000};  // sd-bus has a time limit itself; ours only stands behind it

struct BusEnd {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct SlotEnd {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Slot = std::unique_ptr<sd_bus_slot, SlotEnd>;
using Hear = std::function<void(sd_bus_message*)>;

struct Match {
  Hear hear{};
  Slot slot{};
};

int on_match(sd_bus_message* message, void* match, sd_bus_error*) {
  static_cast<Match*>(match)->hear(message);
  return 0;
}

Error error_of(const Method& method, const sd_bus_error& error) {
  const std::string_view name = error.name == nullptr ? "" : error.name;
  auto code = ErrorCode::load_failed;
  if (name.ends_with(".NoSuchUnit") || name.ends_with(".UnknownObject")) code = ErrorCode::not_found;
  if (name.ends_with(".NoReply") || name.ends_with(".ServiceUnknown") || name.ends_with(".NameHasNoOwner") ||
      name.ends_with(".Disconnected"))
    code = ErrorCode::service_down;
  return {code, fmt::format("{}: {}", method.member, error.message == nullptr ? name : error.message)};
}

}  // namespace

struct Bus::State : std::enable_shared_from_this<Bus::State> {
  State(asio::any_io_executor ex, sd_bus* connected)
      : executor(std::move(ex)), bus(connected), descriptor(executor), timer(executor), changes(executor) {}

  void work();
  void wait();
  void wait_readable();
  void wait_writable();
  void wait_timeout();
  void break_off();

  asio::any_io_executor executor;
  std::unique_ptr<sd_bus, BusEnd> bus;
  asio::posix::stream_descriptor descriptor;  // a duplicate, so that each side closes its own
  asio::steady_timer timer;
  Changes changes;  // of answers, and of lost
  std::deque<Match> matches{};
  std::function<void()> told{};
  bool reading = false;
  bool writing = false;
  bool working = false;
  bool lost = false;
};

void Bus::State::work() {
  if (lost || std::exchange(working, true)) return;
  int more = 0;
  do more = sd_bus_process(bus.get(), nullptr);
  while (more > 0 && !lost);
  working = false;
  changes.tell();
  if (more < 0) return break_off();
  wait();
}

void Bus::State::wait() {
  if (lost) return;
  if (!std::exchange(reading, true)) wait_readable();
  const int events = sd_bus_get_events(bus.get());
  if (events > 0 && (events & POLLOUT) != 0 && !std::exchange(writing, true)) wait_writable();
  wait_timeout();
}

void Bus::State::wait_readable() {
  descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](auto error) {
    self->reading = false;
    if (!error) self->work();
  });
}

void Bus::State::wait_writable() {
  descriptor.async_wait(asio::posix::stream_descriptor::wait_write, [self = shared_from_this()](auto error) {
    self->writing = false;
    if (!error) self->work();
  });
}

void Bus::State::wait_timeout() {
  std::uint64_t at_us = UINT64_MAX;
  timer.cancel();
  if (sd_bus_get_timeout(bus.get(), &at_us) < 0 || at_us == UINT64_MAX) return;
  // Both count CLOCK_MONOTONIC.
  timer.expires_at(asio::steady_timer::time_point(std::chrono::microseconds(at_us)));
  timer.async_wait([self = shared_from_this()](auto error) {
    if (!error) self->work();
  });
}

void Bus::State::break_off() {
  if (std::exchange(lost, true)) return;
  boost::system::error_code ignored;
  descriptor.close(ignored);
  timer.cancel();
  changes.tell();
  if (auto tell = std::exchange(told, {})) tell();
}

Result<std::unique_ptr<Bus>> Bus::open(asio::any_io_executor executor, config::BusType which) {
  const bool system = which == config::BusType::system;
  sd_bus* connected = nullptr;
  const int opened = system ? sd_bus_open_system(&connected) : sd_bus_open_user(&connected);
  if (opened == -ENOMEDIUM)
    return fail(ErrorCode::service_down, "can't tell where the user bus is: XDG_RUNTIME_DIR is not set");
  if (opened < 0)
    return fail(ErrorCode::service_down, fmt::format("can't reach the {} bus: {}", system ? "system" : "user",
                                                     std::strerror(-opened)));
  auto state = std::make_shared<State>(std::move(executor), connected);
  boost::system::error_code error;
  state->descriptor.assign(dup(sd_bus_get_fd(connected)), error);
  if (error) return fail(ErrorCode::service_down, "can't watch the bus: " + error.message());
  state->work();
  return std::unique_ptr<Bus>(new Bus(std::move(state)));
}

Bus::Bus(std::shared_ptr<State> state) : state_(std::move(state)) {}

Bus::~Bus() {
  state_->told = {};
  state_->matches.clear();
  state_->break_off();
}

namespace {

struct Answer {
  std::optional<Result<Message>> got{};
  Method method{};
};

int on_answer(sd_bus_message* reply, void* answer, sd_bus_error*) {
  auto& to = *static_cast<Answer*>(answer);
  if (const sd_bus_error* error = sd_bus_message_get_error(reply); error != nullptr)
    to.got = std::unexpected(error_of(to.method, *error));
  else
    to.got = Message(sd_bus_message_ref(reply));
  return 0;
}

}  // namespace

asio::awaitable<Result<Message>> Bus::call(Method method, Hear fill, Duration limit) {
  const auto state = state_;
  const auto gone = [&] {
    return fail(ErrorCode::service_down, fmt::format("{}: the bus is gone", method.member));
  };
  if (state->lost) co_return gone();
  sd_bus_message* made = nullptr;
  if (sd_bus_message_new_method_call(state->bus.get(), &made, method.destination, method.path.c_str(),
                                     method.interface, method.member) < 0)
    co_return gone();
  const Message message(made);
  if (fill) fill(made);
  Answer answer{.method = method};
  sd_bus_slot* raw_slot = nullptr;
  const auto limit_us = static_cast<std::uint64_t>(limit.count());
  const int sent = sd_bus_call_async(state->bus.get(), &raw_slot, made, on_answer, &answer, limit_us);
  const Slot slot(raw_slot);  // while it lives, `answer` is written to
  if (sent < 0) {
    state->break_off();
    co_return gone();
  }
  state->wait();
  const Duration longer = limit + kAfterTheBus;
  const std::function<bool()> over = [&] { return answer.got || state->lost; };
  const bool came = co_await state->changes.wait(over, longer);
  if (answer.got) co_return *std::move(answer.got);
  if (came) co_return gone();
  co_return fail(ErrorCode::service_down,
                 fmt::format("{}: no answer within {}", method.member, to_string(limit)));
}

void Bus::match(const std::string& rule, Hear hear) {
  Match& match = state_->matches.emplace_back(std::move(hear));
  sd_bus_slot* slot = nullptr;
  if (!state_->lost &&
      sd_bus_add_match_async(state_->bus.get(), &slot, rule.c_str(), on_match, nullptr, &match) >= 0)
    match.slot.reset(slot);
  state_->wait();
}

void Bus::on_lost(std::function<void()> told) { state_->told = std::move(told); }
bool Bus::lost() const { return state_->lost; }
sd_bus* Bus::raw() { return state_->bus.get(); }

}  // namespace mgpu::runner
