// Receives the head of the next message on a connection.
#pragma once

#include <cstddef>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "http/connection.h"

namespace mgpu::http {

// Waits until the whole head is in received(), and returns its size with its empty line; nothing of it is
// consumed. Up to `empty_lines` before it are. Errors: those of find_head_end, too_large (longer than
// `max_size`), cancelled (the connection ended first; in the system's words).
boost::asio::awaitable<Result<std::size_t>> receive_head(Connection& connection, std::size_t max_size,
                                                         std::size_t empty_lines);

}  // namespace mgpu::http
