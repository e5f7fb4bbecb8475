// GET /v1/events: the journal as server-sent events. Each client is served at its own pace and costs one
// chunk of memory at most. A client that falls behind what the journal keeps is disconnected.
#include <utility>

#include "api/api_context.h"
#include "api/event_feed.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kKeepAliveInterval{15};

bool query_flag(const ApiRequest& request, const std::string& key, bool default_value) {
  const std::string value = query_value(request, key);
  const bool is_given = request.query.contains(key);
  return is_given ? value != "false" && value != "0" : default_value;
}

// Last-Event-ID wins: a browser that reconnects sends it beside the `after` of its first URL.
Result<std::uint64_t> requested_start_id(const ApiRequest& request) {
  std::string text = request.last_event_id;
  if (text.empty()) text = query_value(request, "after");
  if (text.empty()) return 0;
  const auto id = parse_number(text);
  if (!id)
    return fail(ErrorCode::invalid_request,
                "event id \"" + text + "\" is not a number; leave it out to read all that is kept");
  return *id;
}

// Where the stream begins, and the notice that goes first where the client has missed entries.
struct StreamStart {
  std::uint64_t after = 0;
  std::string gap{};
};

// An id that was not given out yet comes from an earlier run of the daemon: all that is kept is new to the
// client.
StreamStart stream_start(const engine::Journal& journal, std::uint64_t after) {
  const std::uint64_t first = journal.entries().empty() ? 0 : journal.entries().front()->id;
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
