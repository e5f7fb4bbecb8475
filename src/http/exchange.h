// One request that the server received, and the way to answer it. Lives as long as the handler that it was
// given to. Every await can be cancelled.
#pragma once

#include <cstdint>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "http/message.h"

namespace mgpu::http {

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& head() const = 0;
  virtual const std::string& peer_address() const = 0;  // "127.0.0.1"
  virtual std::uint16_t peer_port() const = 0;          // the client's

  // Whether the connection came in over `max_connections`, on one of the few that are kept free for operators
  // of this machine: nothing may wait or compute on it.
  virtual bool is_reserved() const = 0;

  // The next piece of the body, as it came; empty at its end. One read at a time. Errors: cancelled (the
  // client is gone), invalid_request (broken framing), too_large, request_timeout (stall_limit).
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Sends the head; one whose body has a known length goes out together with the body's first piece. After a
  // 101, read and write pass the connection's raw bytes. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> send_head(ResponseHead head) = 0;

  // Sends a piece at once. REQUIRES: send_head was called. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> write(std::string piece) = 0;

  // The answer is complete; the connection may live on. What was not read of the request is skipped, up to a
  // limit; past that the connection is closed, in a way that lets the client read its answer.
  virtual boost::asio::awaitable<void> finish() = 0;

  // The answer is not complete and never will be, and the client must see that: the connection is closed,
  // with everything that was written before, but without the end of the body's framing. Where the body has no
  // framing (HTTP/1.0) it is reset. What waits on the exchange fails.
  virtual void abort() = 0;

  // Returns when the client is gone. A client that only closed its sending side is not. Reads nothing, so the
  // body and later requests stay where they are; may be awaited beside read and write, once at a time.
  virtual boost::asio::awaitable<void> wait_until_disconnected() = 0;
};

// A whole small answer: send_head, write, finish. HEAD requests get no body.
boost::asio::awaitable<Result<void>> send_response(Exchange& exchange, int status, Headers headers,
                                                   std::string body);

// The rest of the body, if it is at most `limit`. Errors: those of read, too_large.
boost::asio::awaitable<Result<std::string>> read_body(Exchange& exchange, Bytes limit);

}  // namespace mgpu::http
