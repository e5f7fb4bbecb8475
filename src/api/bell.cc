#include "api/bell.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace mgpu::api {
namespace asio = boost::asio;

Bell::Bell(const asio::any_io_executor& executor, engine::Journal& journal)
    : journal_(journal), timer_(executor) {
  subscription_ = journal_.subscribe([this](const engine::Entry&) { ring(); });
}

Bell::~Bell() { journal_.unsubscribe(subscription_); }

void Bell::ring() {
  rung_ = true;
  timer_.cancel();
}

asio::awaitable<void> Bell::wait(std::chrono::steady_clock::time_point until) {
  if (!rung_) {
    timer_.expires_at(until);
    boost::system::error_code why;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, why));
    const auto cancellation = co_await asio::this_coro::cancellation_state;
    if (cancellation.cancelled() != asio::cancellation_type::none)
      throw boost::system::system_error(asio::error::operation_aborted);
  }
  rung_ = false;
}

}  // namespace mgpu::api
