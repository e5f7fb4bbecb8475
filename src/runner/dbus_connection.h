// A D-Bus connection (libsystemd's sd-bus) in an io_context: the io_context waits for its descriptor; there
// is no polling and no thread.
//
// Thread rule: the executor's one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <systemd/sd-bus.h>

#include "base/result.h"
#include "base/time.h"
#include "config/config.h"

namespace mgpu::runner {

struct DbusMessageDeleter {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using DbusMessage = std::unique_ptr<sd_bus_message, DbusMessageDeleter>;

// A method of an object on the bus.
struct DbusMethod {
  const char* destination = nullptr;
  std::string path{};
  const char* interface = nullptr;
  const char* member = nullptr;
};

class DbusConnection {
 public:
  // Errors: service_down (no bus listens there).
  static Result<std::unique_ptr<DbusConnection>> open(boost::asio::any_io_executor executor,
                                                      config::BusType type);

  ~DbusConnection();  // calls under way end with service_down
  DbusConnection(const DbusConnection&) = delete;
  DbusConnection& operator=(const DbusConnection&) = delete;

  // Errors: service_down (the bus was lost, or no reply within `limit`), not_found (no such object),
  // load_failed (another refusal), with the text of the other side.
  boost::asio::awaitable<Result<DbusMessage>> call(DbusMethod method,
                                                   std::function<void(sd_bus_message*)> append_arguments,
                                                   Duration limit);

  // Calls `on_signal` with each signal that the rule matches, as long as the connection lasts. Signals that
  // are sent after the next call() are not missed.
  void add_match(const std::string& rule, std::function<void(sd_bus_message*)> on_signal);

  // Called once, when the connection breaks.
  void on_lost(std::function<void()> callback);
  bool is_lost() const;

  sd_bus* raw();  // for the objects that tests export

 private:
  struct State;
  explicit DbusConnection(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the waits in flight
};

}  // namespace mgpu::runner
