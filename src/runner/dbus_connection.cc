// sd-bus reports which event it needs (readable, writable, a time); the io_context waits for it, calls
// sd_bus_process, and repeats. sd-bus callbacks only store the result and wake the waiters, so that no
// coroutine runs inside sd_bus_process.
#include "runner/dbus_connection.h"

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

#include "runner/async_condition.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kReplySlack{1'000'000};  // beyond the time limit that sd-bus itself applies

struct BusDeleter {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct SlotDeleter {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Slot = std::unique_ptr<sd_bus_slot, SlotDeleter>;
using SignalCallback = std::function<void(sd_bus_message*)>;

struct SignalMatch {
  SignalCallback callback{};
  Slot slot{};
};

int dispatch_signal(sd_bus_message* message, void* match, sd_bus_error*) {
  static_cast<SignalMatch*>(match)->callback(message);
  return 0;
}

Error call_error(const DbusMethod& method, const sd_bus_error& error) {
  const std::string_view name = error.name == nullptr ? "" : error.name;
  auto code = ErrorCode::load_failed;
  if (name.ends_with(".NoSuchUnit") || name.ends_with(".UnknownObject")) code = ErrorCode::not_found;
  if (name.ends_with(".NoReply") || name.ends_with(".ServiceUnknown") || name.ends_with(".NameHasNoOwner") ||
      name.ends_with(".Disconnected"))
    code = ErrorCode::service_down;
  return {code, fmt::format("{}: {}", method.member, error.message == nullptr ? name : error.message)};
}

}  // namespace

struct DbusConnection::State : std::enable_shared_from_this<DbusConnection::State> {
  State(asio::any_io_executor ex, sd_bus* connected)
      : executor(std::move(ex)), bus(connected), descriptor(executor), timer(executor), changed(executor) {}

  void process_messages();
  void wait_for_events();
  void wait_readable();
  void wait_writable();
  void wait_timeout();
  void disconnect();

  asio::any_io_executor executor;
  std::unique_ptr<sd_bus, BusDeleter> bus;
  asio::posix::stream_descriptor descriptor;  // a duplicate: sd-bus closes the original
  asio::steady_timer timer;
  AsyncCondition changed;  // of replies, and of `lost`
  std::deque<SignalMatch> matches{};
  std::function<void()> on_lost{};
  bool reading = false;
  bool writing = false;
  bool working = false;
  bool lost = false;
};

void DbusConnection::State::process_messages() {
  if (lost || std::exchange(working, true)) return;
  int processed = 0;
  do processed = sd_bus_process(bus.get(), nullptr);
  while (processed > 0 && !lost);
  working = false;
  changed.notify_all();
  if (processed < 0) return disconnect();
  wait_for_events();
}

void DbusConnection::State::wait_for_events() {
  if (lost) return;
  if (!std::exchange(reading, true)) wait_readable();
  const int events = sd_bus_get_events(bus.get());
  if (events > 0 && (events & POLLOUT) != 0 && !std::exchange(writing, true)) wait_writable();
  wait_timeout();
}

void DbusConnection::State::wait_readable() {
  descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](auto error) {
    self->reading = false;
    if (!error) self->process_messages();
  });
}

void DbusConnection::State::wait_writable() {
  descriptor.async_wait(asio::posix::stream_descriptor::wait_write, [self = shared_from_this()](auto error) {
    self->writing = false;
    if (!error) self->process_messages();
  });
}

void DbusConnection::State::wait_timeout() {
  std::uint64_t at_us = UINT64_MAX;
  timer.cancel();
  if (sd_bus_get_timeout(bus.get(), &at_us) < 0 || at_us == UINT64_MAX) return;
  // Both count CLOCK_MONOTONIC.
  timer.expires_at(asio::steady_timer::time_point(std::chrono::microseconds(at_us)));
  timer.async_wait([self = shared_from_this()](auto error) {
    if (!error) self->process_messages();
  });
}

void DbusConnection::State::disconnect() {
  if (std::exchange(lost, true)) return;
  boost::system::error_code ignored;
  descriptor.close(ignored);
  timer.cancel();
  changed.notify_all();
  if (auto callback = std::exchange(on_lost, {})) callback();
}

Result<std::unique_ptr<DbusConnection>> DbusConnection::open(asio::any_io_executor executor,
                                                             config::BusType type) {
  const bool system = type == config::BusType::system;
  sd_bus* connected = nullptr;
  const int opened = system ? sd_bus_open_system(&connected) : sd_bus_open_user(&connected);
  if (opened == -ENOMEDIUM)
    return fail(ErrorCode::service_down,
                "can't reach the user bus: its address is unknown because XDG_RUNTIME_DIR is not set");
  if (opened < 0)
    return fail(ErrorCode::service_down, fmt::format("can't reach the {} bus: {}", system ? "system" : "user",
                                                     std::strerror(-opened)));
  auto state = std::make_shared<State>(std::move(executor), connected);
  boost::system::error_code error;
  state->descriptor.assign(dup(sd_bus_get_fd(connected)), error);
  if (error) return fail(ErrorCode::service_down, "can't watch the bus: " + error.message());
  state->process_messages();
  return std::unique_ptr<DbusConnection>(new DbusConnection(std::move(state)));
}

DbusConnection::DbusConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}

DbusConnection::~DbusConnection() {
  state_->on_lost = {};
  state_->matches.clear();
  state_->disconnect();
}

namespace {

struct PendingCall {
  std::optional<Result<DbusMessage>> result{};
  DbusMethod method{};
};

int on_reply(sd_bus_message* reply, void* pending_call, sd_bus_error*) {
  auto& call = *static_cast<PendingCall*>(pending_call);
  if (const sd_bus_error* error = sd_bus_message_get_error(reply); error != nullptr)
    call.result = std::unexpected(call_error(call.method, *error));
  else
    call.result = DbusMessage(sd_bus_message_ref(reply));
  return 0;
}

}  // namespace

asio::awaitable<Result<DbusMessage>> DbusConnection::call(DbusMethod method, SignalCallback append_arguments,
                                                          Duration limit) {
  const auto state = state_;
  const auto lost_error = [&] {
    return fail(ErrorCode::service_down, fmt::format("{}: the connection to the bus is lost", method.member));
  };
  if (state->lost) co_return lost_error();
  sd_bus_message* raw_message = nullptr;
  if (sd_bus_message_new_method_call(state->bus.get(), &raw_message, method.destination, method.path.c_str(),
                                     method.interface, method.member) < 0)
    co_return lost_error();
  const DbusMessage message(raw_message);
  if (append_arguments) append_arguments(raw_message);
  PendingCall pending_call{.method = method};
  sd_bus_slot* raw_slot = nullptr;
  const auto limit_us = static_cast<std::uint64_t>(limit.count());
  const int sent =
      sd_bus_call_async(state->bus.get(), &raw_slot, raw_message, on_reply, &pending_call, limit_us);
  const Slot slot(raw_slot);  // while it exists, sd-bus may write to pending_call
  if (sent < 0) {
    state->disconnect();
    co_return lost_error();
  }
  state->wait_for_events();
  const Duration guard_limit = limit + kReplySlack;
  const std::function<bool()> is_finished = [&] { return pending_call.result || state->lost; };
  const bool finished = co_await state->changed.wait(is_finished, guard_limit);
  if (pending_call.result) co_return *std::move(pending_call.result);
  if (finished) co_return lost_error();
  co_return fail(ErrorCode::service_down,
                 fmt::format("{}: no answer within {}", method.member, to_string(limit)));
}

void DbusConnection::add_match(const std::string& rule, SignalCallback on_signal) {
  SignalMatch& match = state_->matches.emplace_back(std::move(on_signal));
  sd_bus_slot* slot = nullptr;
  if (!state_->lost &&
      sd_bus_add_match_async(state_->bus.get(), &slot, rule.c_str(), dispatch_signal, nullptr, &match) >= 0)
    match.slot.reset(slot);
  state_->wait_for_events();
}

void DbusConnection::on_lost(std::function<void()> callback) { state_->on_lost = std::move(callback); }
bool DbusConnection::is_lost() const { return state_->lost; }
sd_bus* DbusConnection::raw() { return state_->bus.get(); }

}  // namespace mgpu::runner
