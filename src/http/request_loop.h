// Serves the requests of one accepted connection, one after another, and ends the connection.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "http/server.h"
#include "http/server_stream.h"

namespace mgpu::http {

// Returns when the connection is closed. Both must outlive it. An exception of the handler ends the
// connection.
boost::asio::awaitable<void> serve_requests(ServerStream& stream, const Server::Handler& handler);

}  // namespace mgpu::http
