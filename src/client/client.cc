#include "mgpu/client.h"

#include <cerrno>
#include <cstdlib>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "client/api_calls.h"
#include "client/http_connection.h"
#include "client/url.h"

namespace mgpu {
inline namespace client_v1 {
namespace {

using client::HttpConnection;
using client::Json;

std::string lease_request_json(const Request& request) {
  Json body{{"bind", "connection"}};
  // Inside a container, pid 1 names a process of the container, and another one where the daemon runs.
  if (getpid() != 1) body["pid"] = getpid();
  body["who"] = request.who.empty() ? std::string(program_invocation_short_name) : request.who;
  if (!request.consumer.empty()) body["consumer"] = request.consumer;
  if (request.bytes != 0) body["bytes"] = request.bytes;
  if (!request.device.empty()) body["device"] = request.device;
  const auto format_ms = [](std::chrono::milliseconds time) { return std::to_string(time.count()) + "ms"; };
  if (request.wait_limit.count() > 0) body["wait_limit"] = format_ms(request.wait_limit);
  if (!request.priority.empty()) body["priority"] = request.priority;
  if (!request.user.empty()) body["user"] = request.user;
  if (request.deadline.count() > 0) body["deadline"] = format_ms(request.deadline);
  return body.dump();
}

Failure ended_failure(const Json& event) {
  const Json error = event.value("error", Json::object());
  constexpr const char* kNoReason = "the daemon ended the lease without a reason";
  if (!error.is_object()) return {"internal", kNoReason};
  return {error.value("code", "internal"), error.value("message", kNoReason)};
}

// 0 where the field is missing or no number. Some daemons send a ticket as a string.
std::uint64_t number_field(const Json& event, const char* name) {
  const auto found = event.find(name);
  if (found == event.end()) return 0;
  if (found->is_number_unsigned()) return found->get<std::uint64_t>();
  return found->is_string() ? std::strtoull(found->get<std::string>().c_str(), nullptr, 10) : 0;
}

Waiting parse_waiting(const Json& event) {
  Waiting waiting{.ticket = number_field(event, "ticket"),
                  .place = static_cast<std::uint32_t>(number_field(event, "place"))};
  if (const auto wait = event.find("estimated_wait_ms"); wait != event.end() && wait->is_number())
    waiting.estimated_wait = std::chrono::milliseconds(static_cast<std::int64_t>(wait->get<double>()));
  return waiting;
}

const Failure kDaemonStopped{"unavailable",
                             "the daemon closed the connection: it has stopped, or was restarted"};

}  // namespace

struct Lease::State {
  HttpConnection stream;
  std::uint64_t ticket = 0;
  std::optional<Failure> ended{};
};

Lease::Lease(std::unique_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&& other) noexcept = default;
Lease& Lease::operator=(Lease&& other) noexcept = default;
Lease::~Lease() = default;

std::uint64_t Lease::ticket() const { return state_ ? state_->ticket : 0; }
int Lease::native_handle() const { return state_ ? state_->stream.descriptor() : -1; }
void Lease::release() { state_.reset(); }

std::optional<Failure> Lease::ended() {
  while (state_ && !state_->ended) {
    bool pending = false;
    const auto line = state_->stream.try_next_line(pending);
    if (pending) return std::nullopt;
    if (!line || !*line) {
      state_->ended = line ? kDaemonStopped : line.failure();
      break;
    }
    const Json event = Json::parse(**line, nullptr, false);
    if (event.is_object() && event.value("event", "") == "ended") state_->ended = ended_failure(event);
  }
  return state_ ? state_->ended : std::nullopt;
}

Client::Client(std::string url) : url_(client::url_or_default(url)) {}

Outcome<Lease> Client::acquire(const Request& request, std::stop_token stop) {
  Outcome<HttpConnection> stream = HttpConnection::open(
      url_, {.method = "POST", .path = "/v1/leases", .body = lease_request_json(request)}, stop);
  if (!stream) return stream.failure();
  if (stream->status() >= 400) {
    const Outcome<std::string> body = stream->read_rest(stop);
    return body ? client::parse_failure(stream->status(), *body) : body.failure();
  }
  for (;;) {
    const auto line = stream->next_line(stop);
    if (!line) return line.failure();
    if (!*line) return kDaemonStopped;
    const Json event = Json::parse(**line, nullptr, false);
    if (!event.is_object()) continue;  // an empty line keeps the connection alive
    const std::string type = event.value("event", "");
    if (type == "granted")
      return Lease(std::make_unique<Lease::State>(std::move(*stream), number_field(event, "ticket")));
    if (type == "ended") return ended_failure(event);
    if (type == "waiting" && request.on_waiting) request.on_waiting(parse_waiting(event));
  }
}

}  // namespace client_v1
}  // namespace mgpu
