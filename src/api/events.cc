// GET /v1/events: the journal as server-sent events. A reader pulls at its own pace, so it costs no memory of
// ours beyond one piece; one that falls behind what the journal keeps is sent away.
#include <charconv>
#include <utility>

#include "api/api_context.h"
#include "api/event_feed.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kKeepAliveInterval{15};

bool query_flag(const ApiRequest& request, const std::string& key, bool default_value) {
  const auto found = request.query.find(key);
  return found == request.query.end() ? default_value : found->second != "false" && found->second != "0";
}

// Last-Event-ID wins: it is what a reconnecting browser sends beside the URL's old `after`.
Result<std::uint64_t> requested_start_id(const ApiRequest& request) {
  std::string text = request.last_event_id;
  if (const auto after = request.query.find("after"); text.empty() && after != request.query.end())
    text = after->second;
  if (text.empty()) return 0;
  std::uint64_t id = 0;
  if (const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
      read.ec != std::errc{} || read.ptr != text.data() + text.size())
    return fail(ErrorCode::invalid_request, "\"" + text + "\" is no event id");
  return id;
}

// Where to begin, and what to say first if that is not where the reader left off.
struct StreamStart {
  std::uint64_t after = 0;
  std::string gap{};
};

// An id from the future is one of an earlier daemon: everything that is kept is news.
StreamStart stream_start(const engine::Journal& journal, std::uint64_t after) {
  const std::uint64_t first = journal.entries().empty() ? 0 : journal.entries().front().id;
  const bool forgotten = first > after + 1;
  if (after <= journal.last_id() && !forgotten) return {.after = after};
  const bool is_reconnect = after > 0;
  return {.after = first == 0 ? 0 : first - 1,
          .gap = is_reconnect ? server_sent_event("", "gap", dump({{"after", after}, {"first_kept", first}}))
                              : ""};
}

}  // namespace

asio::awaitable<HandlerResult> stream_events(ApiContext& context, ApiRequest request, ResponseStream stream) {
  const auto start = requested_start_id(request);
  if (!start) co_return std::unexpected(start.error());
  const bool follow = query_flag(request, "follow", true);
  const auto filter = query_flag(request, "all", false) ? Waiter::Filter::all : Waiter::Filter::significant;
  StreamStart stream_start_at = stream_start(context.engine.journal(), *start);
  auto subscriber = context.events.subscribe(stream_start_at.after, filter, stream.abort);
  if (!subscriber) co_return std::unexpected(subscriber.error());

  ApiResponse head{.content_type = "text/event-stream",
                   .body = std::move(stream_start_at.gap) + ": mgpu events\n\n",
                   .headers = {{"Cache-Control", "no-cache"}}};
  if (const auto begun = co_await stream.begin(std::move(head)); !begun) co_return std::nullopt;
  for (;;) {
    std::string chunk = (*subscriber)->next_chunk();
    if (chunk.empty()) {
      if (!follow) co_return std::nullopt;
      const auto until = std::chrono::steady_clock::now() + kKeepAliveInterval;
      co_await (*subscriber)->wait(until);
      if (std::chrono::steady_clock::now() < until) continue;
      chunk = ":\n\n";
    }
    if (const auto written = co_await stream.write(std::move(chunk)); !written) co_return std::nullopt;
    if ((*subscriber)->has_fallen_behind()) {
      std::string drop_notice = ": dropped: too slow to follow; come back with Last-Event-ID\n\n";
      if (const auto written = co_await stream.write(std::move(drop_notice)); !written)
        co_return std::nullopt;
      co_return std::nullopt;
    }
  }
}

}  // namespace mgpu::api
