// GET /v1/events: the journal as server-sent events. A reader pulls at its own pace, so it costs no memory of
// ours beyond one piece; one that falls behind what the journal keeps is sent away.
#include <charconv>
#include <utility>

#include "api/desk.h"
#include "api/event_feed.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kKeepAlive{15};

bool is_set(const Call& call, const std::string& key, bool otherwise) {
  const auto found = call.query.find(key);
  return found == call.query.end() ? otherwise : found->second != "false" && found->second != "0";
}

// Last-Event-ID wins: it is what a reconnecting browser sends beside the URL's old `after`.
Result<std::uint64_t> start_of(const Call& call) {
  std::string text = call.last_event_id;
  if (const auto after = call.query.find("after"); text.empty() && after != call.query.end())
    text = after->second;
  if (text.empty()) return 0;
  std::uint64_t id = 0;
  if (const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
      read.ec != std::errc{} || read.ptr != text.data() + text.size())
    return fail(ErrorCode::invalid_request, "\"" + text + "\" is no event id");
  return id;
}

// Where to begin, and what to say first if that is not where the reader left off.
struct Beginning {
  std::uint64_t after = 0;
  std::string gap{};
};

// An id from the future is one of an earlier daemon: everything that is kept is news.
Beginning beginning_of(const engine::Journal& journal, std::uint64_t after) {
  const std::uint64_t first = journal.entries().empty() ? 0 : journal.entries().front().id;
  const bool forgotten = first > after + 1;
  if (after <= journal.last_id() && !forgotten) return {.after = after};
  const bool was_here = after > 0;
  return {
      .after = first == 0 ? 0 : first - 1,
      .gap = was_here ? server_sent_event("", "gap", dump({{"after", after}, {"first_kept", first}})) : ""};
}

}  // namespace

asio::awaitable<Answer> stream_events(Desk& desk, Call call, Outlet outlet) {
  const auto start = start_of(call);
  if (!start) co_return std::unexpected(start.error());
  const bool follow = is_set(call, "follow", true);
  const auto what = is_set(call, "all", false) ? Waiter::For::routine_too : Waiter::For::news;
  Beginning beginning = beginning_of(desk.engine.journal(), *start);
  auto subscriber = desk.events.subscribe(beginning.after, what, outlet.break_off);
  if (!subscriber) co_return std::unexpected(subscriber.error());

  Reply head{.content_type = "text/event-stream",
             .body = std::move(beginning.gap) + ": mgpu events\n\n",
             .headers = {{"Cache-Control", "no-cache"}}};
  if (const auto begun = co_await outlet.begin(std::move(head)); !begun) co_return std::nullopt;
  for (;;) {
    std::string piece = (*subscriber)->next_piece();
    if (piece.empty()) {
      if (!follow) co_return std::nullopt;
      const auto until = std::chrono::steady_clock::now() + kKeepAlive;
      co_await (*subscriber)->wait(until);
      if (std::chrono::steady_clock::now() < until) continue;
      piece = ":\n\n";
    }
    if (const auto written = co_await outlet.write(std::move(piece)); !written) co_return std::nullopt;
    if ((*subscriber)->fell_behind()) {
      std::string farewell = ": dropped: too slow to follow; come back with Last-Event-ID\n\n";
      if (const auto told = co_await outlet.write(std::move(farewell)); !told) co_return std::nullopt;
      co_return std::nullopt;
    }
  }
}

}  // namespace mgpu::api
