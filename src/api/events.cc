// GET /v1/events: the journal as server-sent events. A reader pulls at its own pace, so it costs no memory of
// ours; one that falls behind what the journal keeps is sent away.
#include <charconv>
#include <utility>

#include "api/bell.h"
#include "api/desk.h"
#include "api/status.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kPieceBytes = 32 * 1024;
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
    return fail(Code::invalid_request, "\"" + text + "\" is no event id");
  return id;
}

bool is_routine(const engine::Entry& entry) {
  const std::string_view name = name_of(entry.what);
  return name == "reading_taken" || name == "take_reading" || name == "tick";
}

std::string sse(std::string_view id, std::string_view name, const Json& data) {
  std::string text;
  if (!id.empty()) text.append("id: ").append(id).append("\n");
  return text.append("event: ").append(name).append("\ndata: ").append(dump(data)).append("\n\n");
}

// Up to a piece of what follows `last`, which moves on.
std::string next_piece(const engine::Engine& engine, std::uint64_t& last, bool all) {
  std::string piece;
  const engine::Journal& journal = engine.journal();
  const Wall wall = wall_of(engine);
  const UserShown user_shown = user_shown_by(engine);
  for (auto entry = journal.after(last); entry != journal.entries().end() && piece.size() < kPieceBytes;
       ++entry) {
    last = entry->id;
    if (!all && is_routine(*entry)) continue;
    piece += sse(std::to_string(entry->id), name_of(entry->what),
                 entry_json(*entry, engine.world().registry, wall, user_shown));
  }
  return piece;
}

bool fell_behind(const engine::Journal& journal, std::uint64_t last) {
  return !journal.entries().empty() && last + 1 < journal.entries().front().id;
}

}  // namespace

asio::awaitable<Answer> stream_events(Desk& desk, Call call, Outlet outlet) {
  const auto start = start_of(call);
  if (!start) co_return std::unexpected(start.error());
  const bool follow = is_set(call, "follow", true);
  const bool all = is_set(call, "all", false);
  engine::Journal& journal = desk.engine.journal();
  std::uint64_t last = *start;

  Reply head{.content_type = "text/event-stream", .headers = {{"Cache-Control", "no-cache"}}};
  // An id from the future is one of an earlier daemon: everything that is kept is news.
  const bool gap = last > journal.last_id() || (last > 0 && fell_behind(journal, last));
  if (gap || fell_behind(journal, last)) {
    const std::uint64_t first = journal.entries().empty() ? 0 : journal.entries().front().id;
    if (gap) head.body = sse("", "gap", {{"after", last}, {"first_kept", first}});
    last = first == 0 ? 0 : first - 1;
  }
  head.body += ": mgpu events\n\n";
  Bell bell(desk.executor, journal);
  if (const auto begun = co_await outlet.begin(std::move(head)); !begun) co_return std::nullopt;
  for (;;) {
    std::string piece = next_piece(desk.engine, last, all);
    if (piece.empty()) {
      if (!follow) co_return std::nullopt;
      const auto until = std::chrono::steady_clock::now() + kKeepAlive;
      co_await bell.wait(until);
      if (std::chrono::steady_clock::now() < until) continue;
      piece = ":\n\n";
    }
    if (const auto written = co_await outlet.write(std::move(piece)); !written) co_return std::nullopt;
    if (fell_behind(journal, last)) {
      std::string farewell = ": dropped: too slow to follow; come back with Last-Event-ID\n\n";
      if (const auto told = co_await outlet.write(std::move(farewell)); !told) co_return std::nullopt;
      co_return std::nullopt;
    }
  }
}

}  // namespace mgpu::api
