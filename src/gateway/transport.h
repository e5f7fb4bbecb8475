// What the gateway needs of the two sides that it stands between, as functions: the http room fills them with
// sockets, a test with strings. Everything runs on the io_context's one thread.
//
// Bodies pass as they come: read() gives what has arrived, at least one byte, empty at the end;
// append_entry() has sent it on when it returns. Nothing is decoded but the transfer coding. A `length` of
// none means chunked (or, in an answer, until the connection closes); a body of 0 bytes has none at all.
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
  std::function<Awaitable<Result<std::string>>()>
      read{};  // one at a time; errors: cancelled (gone), invalid_request (framing), too_large
  std::function<Awaitable<Result<void>>(ResponseHead)> send_head{};
  std::function<Awaitable<Result<void>>(std::string)> write{};
  std::function<Awaitable<void>()> finish{};  // the answer is complete; the connection may live on
  std::function<void()> abort{};              // the answer is not complete, and the client must see that
  // Returns when the client is gone; one that only closed its sending side is not. Takes nothing from read();
  // may be awaited beside read and write, once at a time. Can be cancelled.
  std::function<Awaitable<void>()> wait_until_disconnected{};
};

// One request to a service. Closed when the last copy is destroyed.
struct Upstream {
  std::function<Awaitable<Result<void>>(std::string)> send{};
  std::function<Awaitable<Result<void>>()> end_body{};
  std::function<Awaitable<Result<ResponseHead>>()> read_response_head{};  // service_down: broke off before it
  std::function<Awaitable<Result<std::string>>()> read{};
  std::function<void()> abort{};          // everything that waits on it fails
  std::function<void()> shutdown_send{};  // after a 101: nothing more will be sent
  std::function<bool()>
      was_resent{};  // whether a dead kept connection was replaced (http/client.h, answer())
};

// Connects (or takes an idle connection); the head goes out with what is sent first, with Host set and the
// endpoint's path before its target. Error: service_down.
using Connector = std::function<Awaitable<Result<Upstream>>(http::Endpoint, RequestHead)>;

// A whole small response in JSON, but for finish(); a HEAD request gets no body. Error: cancelled.
Awaitable<Result<void>> send_json(Caller& caller, int status, std::string body, Headers headers);

// The real ones; what they are made of must outlive them.
Caller make_caller(http::Exchange& exchange, Principal principal);
Connector make_connector(http::Client& client);

}  // namespace mgpu::gateway
