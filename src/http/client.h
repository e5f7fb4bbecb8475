// The asking side: requests to consumers' services, over connections that are kept for the next one.
// Everything on the io_context's single thread; every await can be cancelled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "http/message.h"

namespace mgpu::http {

struct ClientOptions {
  Duration connect_limit{5'000'000};
  std::size_t idle_connections = 32;  // kept for each host and port
  Duration idle_limit{10'000'000};    // how long such a one is trusted
};

// One request on its way. Dropped before its answer was read to the end, it closes its connection.
class Outgoing {
 public:
  virtual ~Outgoing() = default;

  // Sends a piece of the body; the head goes out with the first one. After a 101: raw bytes. Error:
  // service_down.
  virtual boost::asio::awaitable<Result<void>> send(std::string piece) = 0;

  // The body is complete. Error: service_down.
  virtual boost::asio::awaitable<Result<void>> end_body() = 0;

  // The answer's head; interim answers other than 101 are skipped. May be awaited while the body is still
  // being sent. Error: service_down (it broke off before).
  virtual boost::asio::awaitable<Result<AnswerHead>> answer() = 0;

  // The next piece of the answer's body, as it came; empty at its end. Error: service_down (broke off).
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Closes the connection; whatever waits on it fails.
  virtual void abort() = 0;
};

class Client {
 public:
  explicit Client(boost::asio::any_io_executor executor, ClientOptions options = {});
  ~Client();

  // Takes an idle connection or makes one. `head` should have Host set. A kept connection that turns out dead
  // before the answer began is replaced and the request sent again, if its body was small. Error:
  // service_down.
  boost::asio::awaitable<Result<std::shared_ptr<Outgoing>>> open(HostPort where, RequestHead head);

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;  // shared with the requests under way, which bring their connections back
};

struct Answer {
  AnswerHead head{};
  std::string body{};
};

// One short exchange with its limits. Any status is an answer. Errors: service_down (refused, broken off,
// over its limit, longer than `max_answer`).
boost::asio::awaitable<Result<Answer>> fetch(Client& client, HostPort where, RequestHead head,
                                             std::string body, Duration limit, Bytes max_answer);

}  // namespace mgpu::http
