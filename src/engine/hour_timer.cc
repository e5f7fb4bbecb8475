#include "engine/hour_timer.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/local_hour.h"

namespace mgpu::engine {
namespace asio = boost::asio;

namespace {

// Upper bound for noticing a changed wall clock or a resume from suspend.
constexpr std::chrono::minutes kMaxSleep{10};

}  // namespace

asio::awaitable<void> HourTimer::run() {
  std::optional<std::uint8_t> last_hour;
  while (!loop_.is_closed()) {
    const LocalHour local = local_hour(std::chrono::system_clock::now());
    if (last_hour != local.hour) loop_.dispatch(HourBegan{local.hour});
    last_hour = local.hour;
    timer_.expires_after(std::min<Duration>(local.until_next, kMaxSleep));
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace mgpu::engine
