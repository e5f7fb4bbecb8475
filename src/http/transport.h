// The internals of a Connection. For connection.cc and listener.cc only.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include "http/connection.h"
#include "http/hangup_watch.h"
#include "http/receive_buffer.h"

namespace mgpu::http {

struct Connection::Transport {
  using Socket = boost::asio::generic::stream_protocol::socket;  // over TCP or a Unix socket

  // `connected`: set to non-blocking, and to send small pieces at once. `watch` (may be null) must outlive
  // it.
  Transport(Socket connected, HangupWatch* watch);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  ~Transport();

  Socket socket;
  HangupWatch* hangup_watch;
  bool watched = false;  // the watch may have the socket registered, and must remove it before a close
  ReceiveBuffer received{};
  std::uint64_t bytes_sent = 0;
  bool refused_by_peer = false;
};

}  // namespace mgpu::http
