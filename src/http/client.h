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
#include "http/endpoint.h"
#include "http/message.h"

namespace mgpu::http {

struct ClientOptions {
  Duration connect_limit{5'000'000};
  std::size_t max_idle_per_host = 32;  // kept for each scheme, host and port
  // How long such a one is trusted: less than the five seconds after which many servers close theirs, since
  // what is sent into a connection that closes can't be sent again (see Outgoing::answer).
  Duration idle_limit{4'000'000};
};

// One request on its way. Dropped before its answer was read to the end, it closes its connection.
class ClientRequest {
 public:
  virtual ~ClientRequest() = default;

  // Sends a piece of the body; the head goes out with the first one. After a 101: raw bytes. Error:
  // service_down.
  virtual boost::asio::awaitable<Result<void>> send(std::string piece) = 0;

  // The body is complete. Error: service_down.
  virtual boost::asio::awaitable<Result<void>> end_body() = 0;

  // The answer's head; interim answers other than 101 are skipped. May be awaited while the body is still
  // being sent. Where a kept connection ends before the answer began, the request is sent once more on a new
  // one, if it is small and either nothing of it can have been taken or its method is idempotent (RFC 9110,
  // 9.2.2): a service that read a POST may have done the work. Error: service_down (it broke off before, or
  // what it sent is no proper answer).
  virtual boost::asio::awaitable<Result<ResponseHead>> read_response_head() = 0;

  // The next piece of the answer's body, as it came; empty at its end. Error: service_down (broke off).
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Closes the connection; whatever waits on it fails.
  virtual void abort() = 0;

  // Nothing more will be sent (after a 101): the service sees the end of the stream and may still answer.
  virtual void shutdown_send() = 0;

  // Whether the request was sent once more (see answer()).
  virtual bool was_resent() const = 0;
};

class Client {
 public:
  explicit Client(boost::asio::any_io_executor executor, ClientOptions options = {});
  ~Client();

  // Takes an idle connection or makes one; `fresh`: always makes one. Puts the endpoint's path before the
  // head's target, and a Host header where there is none. Errors: service_down, not_supported (https).
  boost::asio::awaitable<Result<std::shared_ptr<ClientRequest>>> open(Endpoint endpoint, RequestHead head,
                                                                      bool fresh = false);

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;  // shared with the requests under way, which bring their connections back
};

struct Response {
  ResponseHead head{};
  std::string body{};
};

// One short exchange with its limits, on a connection of its own unless its method is idempotent. Any status
// is an answer. Errors: service_down (refused, broken off,
// over its limit, longer than `max_response`).
boost::asio::awaitable<Result<Response>> fetch(Client& client, Endpoint endpoint, RequestHead head,
                                               std::string body, Duration limit, Bytes max_response);

}  // namespace mgpu::http
