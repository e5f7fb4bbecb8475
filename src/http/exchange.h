// One request that the server received, and its response. Exists until the handler returns. Every await can
// be cancelled.
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

  // Whether the connection was accepted over `max_connections`, as one of the few reserved for operators on
  // this machine: nothing may wait or compute on it.
  virtual bool is_reserved() const = 0;

  // Returns the next piece of the body as received; empty at its end. One read at a time. Errors: cancelled
  // (the client disconnected), invalid_request (broken framing), too_large, request_timeout (stall_limit).
  virtual boost::asio::awaitable<Result<std::string>> read() = 0;

  // Lets the body be larger than limits.max_body. For a body that is passed on as it arrives and kept
  // nowhere. Before the first read.
  virtual void lift_body_limit() = 0;

  // Sends the head; if the body's length is known, together with the body's first piece. After a 101, read
  // and write pass the connection's raw bytes. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> send_head(ResponseHead head) = 0;

  // Sends a piece at once. REQUIRES: send_head was called. Error: cancelled.
  virtual boost::asio::awaitable<Result<void>> write(std::string piece) = 0;

  // Completes the response; the connection may be kept alive. The unread rest of the request is skipped up to
  // a limit; beyond it the connection is closed such that the client can still read the response.
  virtual boost::asio::awaitable<void> finish() = 0;

  // Aborts the response so that the client detects that it is incomplete: the connection is closed after
  // everything written so far, without the end of the body's framing. A body without framing (HTTP/1.0) is
  // ended by a reset. Pending operations on the exchange fail.
  virtual void abort() = 0;

  // Returns when the client has disconnected; closing only its sending side does not count. Reads nothing, so
  // the body and later requests are unaffected; may be awaited in parallel with read and write, once at a
  // time.
  virtual boost::asio::awaitable<void> wait_until_disconnected() = 0;
};

// Sends a complete small response: send_head, write, finish. HEAD requests get no body.
boost::asio::awaitable<Result<void>> send_response(Exchange& exchange, int status, Headers headers,
                                                   std::string body);

// The rest of the body, if it is at most `limit`. Errors: those of read, too_large.
boost::asio::awaitable<Result<std::string>> read_body(Exchange& exchange, Bytes limit);

}  // namespace mgpu::http
