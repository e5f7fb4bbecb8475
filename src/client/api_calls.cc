#include "client/api_calls.h"

#include "client/http_connection.h"

namespace mgpu::client {
namespace {

constexpr std::size_t kMaxQuotedBody = 200;  // bytes of a response that an error quotes

Outcome<Json> send_request(const std::string& url, const HttpRequest& request, const std::stop_token& stop) {
  Outcome<HttpConnection> exchange = HttpConnection::open(url, request, stop);
  if (!exchange) return exchange.failure();
  const Outcome<std::string> body = exchange->read_rest(stop);
  if (!body) return body.failure();
  if (exchange->status() >= 400) return parse_failure(exchange->status(), *body);
  if (body->empty()) return Json();
  Json json = Json::parse(*body, nullptr, false);
  if (json.is_discarded()) return not_mgpu_failure(url);
  return json;
}

// "data: x" -> "x" where the line begins with this field.
std::optional<std::string> sse_field(const std::string& line, std::string_view name) {
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  const std::size_t from = name.size() + 1;
  return line.substr(from + (line.size() > from && line[from] == ' ' ? 1 : 0));
}

}  // namespace

Outcome<Json> get(const std::string& url, const std::string& path, const std::stop_token& stop) {
  return send_request(url, {.path = path}, stop);
}

Outcome<Json> post(const std::string& url, const std::string& path, const Json& body,
                   const std::stop_token& stop) {
  return send_request(url, {.method = "POST", .path = path, .body = body.is_null() ? "" : body.dump()}, stop);
}

Outcome<Json> del(const std::string& url, const std::string& path, const std::stop_token& stop) {
  return send_request(url, {.method = "DELETE", .path = path}, stop);
}

Failure parse_failure(int status, const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  const Json error = json.is_object() ? json.value("error", Json::object()) : Json::object();
  if (!error.is_object() || !error.contains("code"))
    return {"internal", "the server answered with HTTP status " + std::to_string(status) +
                            " and no error code of mgpu: " + body.substr(0, kMaxQuotedBody)};
  return {error.value("code", "internal"), error.value("message", "HTTP " + std::to_string(status))};
}

Outcome<void> follow_events(const std::string& url, const std::string& path, const std::string& last_id,
                            const std::function<bool(const ServerSentEvent&)>& on_event,
                            const std::stop_token& stop) {
  const std::string resume = last_id.empty() ? "" : "Last-Event-ID: " + last_id + "\r\n";
  Outcome<HttpConnection> exchange = HttpConnection::open(
      url, {.path = path, .extra_headers = "Accept: text/event-stream\r\n" + resume}, stop);
  if (!exchange) return exchange.failure();
  if (exchange->status() >= 400) {
    const Outcome<std::string> body = exchange->read_rest(stop);
    return body ? parse_failure(exchange->status(), *body) : body.failure();
  }
  ServerSentEvent event;
  for (;;) {
    const auto line = exchange->next_line(stop);
    if (!line) return line.failure();
    if (!*line) return {};
    if (const auto id = sse_field(**line, "id")) event.id = *id;
    if (const auto type = sse_field(**line, "event")) event.type = *type;
    if (const auto data = sse_field(**line, "data")) event.data += (event.data.empty() ? "" : "\n") + *data;
    if (!(*line)->empty()) continue;  // an empty line ends the event
    if (!event.data.empty() && !on_event(event)) return {};
    event = {.id = event.id};
  }
}

}  // namespace mgpu::client
