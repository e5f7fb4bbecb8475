// mgpu-bench-status: what a poll of GET /v1/status costs the strand while 1,000 tickets wait. Prints one line
// of JSON: microseconds a poll, first as built anew, then from the cache.
#include "api/status.h"

#include <cstdio>
#include <ctime>
#include <string>

#include "api/status_cache.h"
#include "api/waiting_line.h"

namespace mgpu::api {
namespace {

constexpr std::size_t kTickets = 1000;

// Processor time, so that other programs on the machine do not count.
template <class Work>
double microseconds_each(int times, Work work) {
  const std::clock_t before = std::clock();
  for (int i = 0; i < times; ++i) work();
  return 1e6 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC / times;
}

void run() {
  WaitingLine line(kTickets);
  const engine::Engine& engine = line.engine();
  std::size_t bytes = 0;
  int play_throughs = 0;
  StartEstimates estimates(engine, [&play_throughs](const World& world) {
    ++play_throughs;
    return play_lines_through(world);
  });
  StatusCache cache(engine, estimates, {.version = "bench"});

  const double play_through =
      microseconds_each(100, [&] { bytes += play_lines_through(engine.world()).size(); });
  const double built_anew = microseconds_each(
      100, [&] { bytes += json_body(status_json(engine, play_lines_through(engine.world()), {})).size(); });
  // Copied, as each answer is.
  const double cached = microseconds_each(1000, [&] { bytes += std::string(cache.status()).size(); });
  const int played_for_polls = play_throughs;
  const double after_event = microseconds_each(100, [&] {
    line.engine().journal().append(engine.now(), DrainRequested{});
    bytes += std::string(cache.status()).size();
  });
  std::printf(
      R"({"tickets":%zu,"play_through_us":%.0f,"built_anew_us":%.0f,"cached_us":%.1f,"after_event_us":%.0f,)"
      R"("play_throughs_for_1000_polls":%d,"bytes":%zu})"
      "\n",
      kTickets, play_through, built_anew, cached, after_event, played_for_polls, bytes);
}

}  // namespace
}  // namespace mgpu::api

int main() { mgpu::api::run(); }
