// Short names for the parts of Asio that the coroutines of this folder use. For its .cc files and internal
// headers only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mgpu::http {

namespace asio = boost::asio;

// Awaits without exceptions: `auto [error, ...] = co_await ...(kAsTuple)`.
inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

}  // namespace mgpu::http
