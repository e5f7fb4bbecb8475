// The client: sends requests to services, and keeps idle connections for later requests. Thread rule: the
// io_context's one thread; every await can be cancelled.
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
  // How long an idle connection may be reused: less than the five seconds after which many servers close
  // theirs. A request sent into a closing connection can't always be resent (read_response_head).
  Duration idle_limit{4'000'000};
};

// One request in progress. Closes its connection if destroyed before the response was read to its end.
class ClientRequest {
 public:
  virtual ~ClientRequest() = default;

  // Sends a piece of the body; the head is sent with the first one. After a 101: raw bytes. Error:
  // service_down.
  virtual boost::asio::awaitable<Result<void>> send(std::string piece) = 0;

  // Ends the body. Error: service_down.
  virtual boost::asio::awaitable<Result<void>> end_body() = 0;

  // Returns the response's head; interim responses other than 101 are skipped. May be awaited while the body
  // is still being sent. If a reused idle connection ends before the response begins, the request is sent
  // once more on a new connection, provided that it is small and that either the kernel accepted none of it
  // or its method is idempotent (RFC 9110, 9.2.2): a service that read a POST may have processed it. Error:
  // service_down (the connection ended before, or the response is malformed).
  virtual boost::asio::awaitable<Result<ResponseHead>> read_response_head() = 0;

  // Returns the next piece of the response's body as received; empty at its end. Error: service_down (it
  // ended early).
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Closes the connection; pending operations fail.
  virtual void abort() = 0;

  // Ends the sending side (after a 101): the service receives the end of the stream and may still send.
  virtual void shutdown_send() = 0;

  // Whether the request was resent (read_response_head).
  virtual bool was_resent() const = 0;
};

class Client {
 public:
  explicit Client(boost::asio::any_io_executor executor, ClientOptions options = {});
  ~Client();

  // Reuses an idle connection or opens one; `fresh`: always opens one. Puts the endpoint's path before the
  // head's target, and adds a Host header if there is none. Errors: service_down, not_supported (https).
  boost::asio::awaitable<Result<std::shared_ptr<ClientRequest>>> open(Endpoint endpoint, RequestHead head,
                                                                      bool fresh = false);

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;  // shared with the requests, which return their connections to it
};

struct Response {
  ResponseHead head{};
  std::string body{};
};

// Sends one request and reads its response, with any status, within `limit`. A method that is not idempotent
// gets a new connection. Errors: service_down (refused, ended early, over `limit`, longer than
// `max_response`), not_supported (https).
boost::asio::awaitable<Result<Response>> fetch(Client& client, Endpoint endpoint, RequestHead head,
                                               std::string body, Duration limit, Bytes max_response);

}  // namespace mgpu::http
