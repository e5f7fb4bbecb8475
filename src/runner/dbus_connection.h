// A connection to D-Bus (libsystemd's sd-bus) that lives in an io_context: its descriptor is waited for like
// any other, nothing is polled and no thread runs.
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

// Of a method: on which object, and how it is called.
struct DbusMethod {
  const char* destination = nullptr;
  std::string path{};
  const char* interface = nullptr;
  const char* member = nullptr;
};

class DbusConnection {
 public:
  // Errors: service_down (nobody listens there).
  static Result<std::unique_ptr<DbusConnection>> open(boost::asio::any_io_executor executor,
                                                      config::BusType type);

  ~DbusConnection();  // what waits for an answer ends with service_down
  DbusConnection(const DbusConnection&) = delete;
  DbusConnection& operator=(const DbusConnection&) = delete;

  // `fill` appends the arguments. Errors: service_down (the bus is gone, or nobody answered within
  // `limit_setting`), not_found (no such object), load_failed (what else the other side refused), in its
  // words.
  boost::asio::awaitable<Result<DbusMessage>> call(DbusMethod method,
                                                   std::function<void(sd_bus_message*)> append_arguments,
                                                   Duration limit);

  // `hear` gets each signal that the rule matches, as long as the bus lives. Heard of from the next call on.
  void add_match(const std::string& rule, std::function<void(sd_bus_message*)> on_signal);

  // Once, when the connection broke.
  void on_lost(std::function<void()> callback);
  bool is_lost() const;

  sd_bus* raw();  // for objects of one's own (tests)

 private:
  struct State;
  explicit DbusConnection(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the waits in flight
};

}  // namespace mgpu::runner
