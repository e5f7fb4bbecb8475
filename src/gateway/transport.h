// The connections to client and service as functions: transport.cc implements them with sockets, tests with
// strings. Thread rule: the io_context's one thread.
//
// Bodies are streamed: read() returns what has arrived, at least one byte, and is empty at the end; write()
// and send() return when the piece is sent. Only the transfer coding is decoded. A `length` of none means
// chunked (or, in a response, until the connection closes); with a length of 0 there is no body.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "domain/principal.h"
#include "engine/engine.h"
#include "http/client.h"
#include "http/message.h"
#include "http/server.h"

namespace mgpu::gateway {

template <class T>
using Awaitable = boost::asio::awaitable<T>;

using http::header;
using http::Headers;
using http::RequestHead;
using http::ResponseHead;

// The client of one request.
struct Caller {
  RequestHead head{};
  Principal principal{};
  // One call at a time. Errors: cancelled (the client disconnected), invalid_request (framing), too_large.
  std::function<Awaitable<Result<std::string>>()> read{};
  std::function<void()> lift_body_limit{};  // see http::Exchange
  std::function<Awaitable<Result<void>>(ResponseHead)> send_head{};
  std::function<Awaitable<Result<void>>(std::string)> write{};
  std::function<Awaitable<void>()> finish{};  // the response is complete; the connection may be kept alive
  std::function<void()> abort{};              // the response is incomplete, and the client must detect that
  // Returns when the client has disconnected; closing only its sending side does not count. Consumes nothing
  // from read(); may be awaited in parallel with read and write, once at a time. Can be cancelled.
  std::function<Awaitable<void>()> wait_until_disconnected{};
};

// One request to a service. Closed when the last copy is destroyed.
struct Upstream {
  std::function<Awaitable<Result<void>>(std::string)> send{};
  std::function<Awaitable<Result<void>>()> end_body{};
  std::function<Awaitable<Result<ResponseHead>>()> read_response_head{};  // error: service_down
  std::function<Awaitable<Result<std::string>>()> read{};
  std::function<void()> abort{};          // all pending operations fail
  std::function<void()> shutdown_send{};  // after a 101: ends the sending side
  std::function<bool()> was_resent{};     // the pooled connection was closed: sent again over a new one
};

// Connects (or reuses an idle connection). The head is sent with the first piece of the body, with Host set
// and the endpoint's path before its target. Error: service_down.
using Connector = std::function<Awaitable<Result<Upstream>>(http::Endpoint, RequestHead)>;

// Sends a complete small response, without finish(); a HEAD request gets no body. Error: cancelled.
Awaitable<Result<void>> send_response(Caller& caller, int status, std::string body, Headers headers);

// The same, of JSON.
Awaitable<Result<void>> send_json(Caller& caller, int status, std::string body, Headers headers);

// Uses real sockets; exchange and client must outlive the result.
Caller make_caller(http::Exchange& exchange, Principal principal);
Connector make_connector(http::Client& client);

}  // namespace mgpu::gateway
