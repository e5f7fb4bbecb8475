#include "exchange.h"

#include <fmt/format.h>

namespace mgpu::faults {

Step send(std::string bytes) { return {.kind = Step::Kind::send, .bytes = std::move(bytes)}; }
Step pause_ms(int ms) { return {.kind = Step::Kind::pause, .pause_ms = ms}; }
Step shut_sending() { return {.kind = Step::Kind::shut_sending}; }
Step close_it() { return {.kind = Step::Kind::close}; }

namespace {

Step until(std::function<bool(const View&)> condition) {
  return {.kind = Step::Kind::wait, .until = std::move(condition)};
}

}  // namespace

Step until_answers(std::size_t count) {
  return until([count](const View& view) { return view.heard.complete() >= count; });
}
Step until_heads(std::size_t count) {
  return until([count](const View& view) { return view.heard.messages.size() >= count; });
}
Step until_interims(int count) {
  return until(
      [count](const View& view) { return view.heard.interims >= count || !view.heard.messages.empty(); });
}
Step until_whole() {
  return until([](const View& view) { return view.heard.messages[view.message].complete; });
}
Step until_body(std::size_t bytes) {
  return until([bytes](const View& view) {
    const Message& request = view.heard.messages[view.message];
    return request.complete || request.body.size() >= bytes;
  });
}
Step until_raw(std::size_t bytes) {
  return until([bytes](const View& view) { return view.heard.raw.size() >= bytes; });
}

namespace {

using Extra = std::vector<std::string>;

std::string pattern(const std::string& id, std::size_t size, std::string_view what = "part") {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += fmt::format("{}:{}{:06} ", id, what, i);
  text.resize(size);
  return text;
}

std::string head(std::string_view first, const Extra& lines) {
  std::string text = std::string(first) + "\r\n";
  for (const std::string& line : lines) text += line + "\r\n";
  return text + "\r\n";
}

std::string path(const Names& names, std::string_view rest = "/work") {
  return fmt::format("/c/{}{}", names.lane, rest);
}

std::string length(std::string_view body) { return fmt::format("Content-Length: {}", body.size()); }

// The number of a request within its exchange goes with it, so that the service knows which one it answers.
std::string request(const Names& names, std::string_view method, const std::string& target, Extra more = {},
                    int number = 0, std::string_view version = "HTTP/1.1") {
  Extra lines{"Host: mgpu", fmt::format("X-Case: {}-{}", names.id, number)};
  lines.insert(lines.end(), more.begin(), more.end());
  return head(fmt::format("{} {} {}", method, target, version), lines);
}

std::string answer(int status, const std::string& body, Extra more = {}) {
  Extra lines{"Content-Type: text/plain", length(body)};
  lines.insert(lines.end(), more.begin(), more.end());
  return head(fmt::format("HTTP/1.1 {} Whatever", status), lines) + body;
}

std::string chunk(std::string_view data, std::string_view extension = "") {
  return fmt::format("{:x}{}\r\n{}\r\n", data.size(), extension, data);
}

const std::string kLast = "0\r\n\r\n";
const std::string kChunked = "Transfer-Encoding: chunked";
const std::string kClose = "Connection: close";

Wanted get(Steps service, std::string body, int status = 200) {
  return {.status = status, .body = std::move(body), .attempts = {std::move(service)}};
}
Wanted post(std::string sent, Steps service, std::string body, int status = 200) {
  return {.method = "POST",
          .sent = std::move(sent),
          .status = status,
          .body = std::move(body),
          .attempts = {std::move(service)}};
}

Exchange get_length(const Names& n) {
  const std::string body = pattern(n.id, 60);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {get({until_whole(), send(answer(200, body))}, body)}};
}

Exchange get_chunked(const Names& n) {
  const std::string a = pattern(n.id, 30, "a"), b = pattern(n.id, 25, "b");
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLast)};
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {get(service, a + b)}};
}

Exchange get_empty(const Names& n) {
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {get({until_whole(), send(answer(200, ""))}, "")}};
}

Exchange get_until_close(const Names& n) {
  const std::string body = pattern(n.id, 50);
  Wanted wanted = get(
      {until_whole(), send(head("HTTP/1.1 200 OK", {"Content-Type: text/plain", kClose}) + body), close_it()},
      body);
  wanted.until_close = true;
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {wanted}};
}

Exchange get_http_1_0_service(const Names& n) {
  const std::string body = pattern(n.id, 50);
  Wanted wanted =
      get({until_whole(), send(head("HTTP/1.0 200 OK", {"Server: SimpleHTTP"}) + body), close_it()}, body);
  wanted.until_close = true;
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {wanted}};
}

Exchange get_big(const Names& n) {
  const std::string body = pattern(n.id, 300'000);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {get({until_whole(), send(answer(200, body))}, body)},
          .slow_reader = true};
}

Exchange get_big_chunked(const Names& n) {
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}))};
  std::string body;
  for (int i = 0; i < 20; ++i) {
    const std::string part = pattern(n.id, 9'000, fmt::format("p{}-", i));
    body += part;
    service.push_back(send(chunk(part)));
  }
  service.push_back(send(kLast));
  return {
      .client = {send(request(n, "GET", path(n)))}, .requests = {get(service, body)}, .slow_reader = true};
}

Exchange head_request(const Names& n) {
  Wanted wanted = get({until_whole(), send(head("HTTP/1.1 200 OK", {"Content-Length: 1234"}))}, "");
  wanted.method = "HEAD";
  return {.client = {send(request(n, "HEAD", path(n)))}, .requests = {wanted}};
}

Exchange no_content(const Names& n) {
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {get({until_whole(), send(head("HTTP/1.1 204 No Content", {"X-A: b"}))}, "", 204)}};
}

Exchange not_modified(const Names& n) {
  return {.client = {send(request(n, "GET", path(n), {"If-None-Match: \"x\""}))},
          .requests = {get(
              {until_whole(), send(head("HTTP/1.1 304 Not Modified", {"ETag: \"x\"", "Content-Length: 99"}))},
              "", 304)}};
}

Exchange delete_request(const Names& n) {
  const std::string body = pattern(n.id, 20);
  Wanted wanted = get({until_whole(), send(answer(200, body))}, body);
  wanted.method = "DELETE";
  return {.client = {send(request(n, "DELETE", path(n)))}, .requests = {wanted}};
}

Exchange post_length(const Names& n) {
  const std::string sent = pattern(n.id, 70, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_two_pieces(const Names& n) {
  const std::string sent = pattern(n.id, 70, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent.substr(0, 20)), pause_ms(3),
                     send(sent.substr(20))},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_chunked(const Names& n) {
  const std::string a = pattern(n.id, 30, "a"), b = pattern(n.id, 25, "b"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + chunk(a)), pause_ms(1),
                     send(chunk(b) + kLast)},
          .requests = {post(a + b, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_empty(const Names& n) {
  const std::string body = pattern(n.id, 20);
  return {.client = {send(request(n, "POST", path(n), {"Content-Length: 0"}))},
          .requests = {post("", {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_chunked_empty(const Names& n) {
  const std::string body = pattern(n.id, 20);
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + kLast)},
          .requests = {post("", {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_big(const Names& n) {
  const std::string sent = pattern(n.id, 400'000, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange post_big_chunked(const Names& n) {
  Steps client{send(request(n, "POST", path(n), {kChunked}))};
  std::string sent;
  for (int i = 0; i < 20; ++i) {
    const std::string part = pattern(n.id, 9'000, fmt::format("p{}-", i));
    sent += part;
    client.push_back(send(chunk(part)));
  }
  client.push_back(send(kLast));
  const std::string body = pattern(n.id, 40);
  return {.client = client, .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

std::string json(const Names& n, std::size_t padding, bool name_first = true) {
  const std::string name = fmt::format(R"("model":"{}")", n.lane);
  const std::string text = fmt::format(R"("prompt":"{}")", pattern(n.id, padding, "say"));
  return "{" + (name_first ? name + "," + text : text + "," + name) + "}";
}

Exchange chat(const Names& n) {
  const std::string sent = json(n, 30), body = "{\"id\":\"" + pattern(n.id, 30) + "\"}";
  return {.client = {send(
              request(n, "POST", "/v1/chat/completions", {length(sent), "Content-Type: application/json"}) +
              sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange chat_stream(const Names& n) {
  const std::string sent = json(n, 30);
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked, "Content-Type: text/event-stream"}))};
  std::string body;
  for (int i = 0; i < 3; ++i) {
    const std::string event = fmt::format("data: {}-{}\n\n", n.id, i);
    body += event;
    service.push_back(send(chunk(event)));
    service.push_back(pause_ms(1));
  }
  service.push_back(send(kLast));
  return {.client = {send(
              request(n, "POST", "/v1/chat/completions", {length(sent), "Content-Type: application/json"}) +
              sent)},
          .requests = {post(sent, service, body)}};
}

// The AI model's name comes last: all of the body is read, and spooled, before anybody knows whom it is for.
Exchange chat_named_last(const Names& n) {
  const std::string sent = json(n, 20'000, false), body = pattern(n.id, 30);
  return {.client = {send(
              request(n, "POST", "/v1/chat/completions", {length(sent), "Content-Type: application/json"}) +
              sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange chat_chunked_body(const Names& n) {
  const std::string sent = json(n, 40), body = pattern(n.id, 30);
  return {.client = {send(request(n, "POST", "/v1/chat/completions",
                                  {kChunked, "Content-Type: application/json"}) +
                          chunk(sent.substr(0, 11))),
                     pause_ms(1), send(chunk(sent.substr(11)) + kLast)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange ollama_stream(const Names& n) {
  const std::string sent = json(n, 30);
  const std::string a = fmt::format("{{\"response\":\"{}a\"}}\n", n.id),
                    b = fmt::format("{{\"response\":\"{}b\",\"done\":true}}\n", n.id);
  Steps service{until_whole(),
                send(head("HTTP/1.1 200 OK", {kChunked, "Content-Type: application/x-ndjson"}) + chunk(a)),
                pause_ms(1), send(chunk(b) + kLast)};
  return {.client = {send(request(n, "POST", "/api/generate", {length(sent)}) + sent)},
          .requests = {post(sent, service, a + b)}};
}

// What the client sends first is more than the daemon reads ahead of the turn (body_memory), so that its
// service can answer before the rest.
constexpr std::size_t kUpload = 3'000, kFirst = 1'500;

// As python3 -m http.server does: 501 to a POST, its body left unread, and the connection closed.
Exchange early_close(const Names& n) {
  const std::string sent = pattern(n.id, kUpload, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent.substr(0, kFirst)), pause_ms(8),
                     send(sent.substr(kFirst))},
          .requests = {post(sent, {send(answer(501, body, {kClose})), close_it()}, body, 501)},
          .body_may_be_cut = true};
}

Exchange early_kept(const Names& n) {
  const std::string sent = pattern(n.id, kUpload, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent.substr(0, kFirst)),
                     until_heads(1), pause_ms(2), send(sent.substr(kFirst))},
          .requests = {post(sent, {until_body(kFirst), send(answer(200, body))}, body)},
          .body_may_be_cut = true};
}

Exchange early_stream(const Names& n) {
  const std::string sent = pattern(n.id, kUpload, "up"), a = pattern(n.id, 20, "a"),
                    b = pattern(n.id, 20, "b");
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + chunk(sent.substr(0, kFirst))),
                     until_heads(1), send(chunk(sent.substr(kFirst)) + kLast)},
          .requests = {post(sent,
                            {until_body(kFirst), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)),
                             until_whole(), send(chunk(b) + kLast)},
                            a + b)},
          .any_status = true};
}

Exchange early_big(const Names& n) {
  const std::string sent = pattern(n.id, 400'000, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {post(sent, {until_body(kFirst), send(answer(413, body, {kClose})), close_it()}, body,
                            413)},
          .body_may_be_cut = true};
}

Exchange early_big_kept(const Names& n) {
  const std::string sent = pattern(n.id, 400'000, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent.substr(0, 100'000)),
                     until_heads(1), send(sent.substr(100'000))},
          .requests = {post(sent, {until_body(kFirst), send(answer(400, body))}, body, 400)},
          .body_may_be_cut = true};
}

Exchange early_chat(const Names& n) {
  const std::string sent = json(n, kUpload), body = pattern(n.id, 40);
  return {
      .client = {send(request(n, "POST", "/v1/chat/completions", {length(sent)}) + sent.substr(0, kFirst)),
                 pause_ms(8), send(sent.substr(kFirst))},
      .requests = {post(sent, {send(answer(501, body, {kClose})), close_it()}, body, 501)},
      .body_may_be_cut = true};
}

Exchange early_then_next(const Names& n) {
  const std::string sent = pattern(n.id, kUpload, "up"), body = pattern(n.id, 40),
                    next = pattern(n.id, 30, "next");
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent.substr(0, kFirst)),
                     until_answers(1), send(sent.substr(kFirst) + request(n, "GET", path(n), {}, 1))},
          .requests = {post(sent, {until_body(kFirst), send(answer(501, body))}, body, 501),
                       get({until_whole(), send(answer(200, next))}, next)},
          .body_may_be_cut = true};
}

Exchange expect_continue(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent), "Expect: 100-continue"})),
                     until_interims(1), send(sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange expect_impatient(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent), "Expect: 100-continue"})), pause_ms(2),
                     send(sent)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange expect_refused(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent), "Expect: 100-continue"})),
                     until_interims(1), send(sent)},
          .requests = {post(sent, {send(answer(403, body)), until_whole()}, body, 403)},
          .body_may_be_cut = true,
          .any_status = true};
}

Exchange error_500(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {post(sent, {until_whole(), send(answer(500, body))}, body, 500)}};
}

Exchange error_chunked(const Names& n) {
  const std::string a = pattern(n.id, 30, "a"), b = pattern(n.id, 25, "b");
  Steps service{until_whole(), send(head("HTTP/1.1 404 Not Found", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLast)};
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {get(service, a + b, 404)}};
}

Steps says_out_of_memory() {
  return {until_whole(), send(answer(503, "{\"error\":\"CUDA out of memory\"}"))};
}

Exchange oom_retry(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  Wanted wanted = post(sent, says_out_of_memory(), body);
  wanted.attempts.push_back({until_whole(), send(answer(200, body))});
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {wanted},
          .may_repeat = true};
}

Exchange oom_retry_chat(const Names& n) {
  const std::string sent = json(n, 40), body = pattern(n.id, 40);
  Wanted wanted = post(sent, says_out_of_memory(), body);
  wanted.attempts.push_back({until_whole(), send(answer(200, body))});
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {length(sent)}) + sent)},
          .requests = {wanted},
          .may_repeat = true};
}

Exchange oom_twice(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up");
  Wanted wanted = post(sent, says_out_of_memory(), "", 503);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent)},
          .requests = {wanted},
          .may_repeat = true,
          .any_status = true};
}

Exchange http_1_0(const Names& n) {
  const std::string body = pattern(n.id, 40);
  return {.client = {send(request(n, "GET", path(n), {}, 0, "HTTP/1.0"))},
          .requests = {get({until_whole(), send(answer(200, body))}, body)},
          .http_1_0 = true,
          .last_closes = true};
}

Exchange http_1_0_kept(const Names& n) {
  const std::string one = pattern(n.id, 40, "one"), two = pattern(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n), {"Connection: keep-alive"}, 0, "HTTP/1.0")),
                     until_answers(1), send(request(n, "GET", path(n), {}, 1, "HTTP/1.0"))},
          .requests = {get({until_whole(), send(answer(200, one))}, one),
                       get({until_whole(), send(answer(200, two))}, two)},
          .http_1_0 = true,
          .last_closes = true};
}

Exchange http_1_0_stream(const Names& n) {
  const std::string a = pattern(n.id, 30, "a"), b = pattern(n.id, 25, "b");
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLast)};
  return {.client = {send(request(n, "GET", path(n), {}, 0, "HTTP/1.0"))},
          .requests = {get(service, a + b)},
          .http_1_0 = true,
          .last_closes = true};
}

Exchange pipelined_gets(const Names& n) {
  const std::string one = pattern(n.id, 40, "one"), two = pattern(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n)) + request(n, "GET", path(n), {}, 1))},
          .requests = {get({until_whole(), send(answer(200, one))}, one),
                       get({until_whole(), send(answer(200, two))}, two)}};
}

Exchange pipelined_posts(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), one = pattern(n.id, 40, "one"),
                    two = pattern(n.id, 40, "two");
  return {.client = {send(request(n, "POST", path(n), {length(up)}) + up +
                          request(n, "POST", path(n), {kChunked}, 1) + chunk(up) + kLast)},
          .requests = {post(up, {until_whole(), send(answer(200, one))}, one),
                       post(up, {until_whole(), send(answer(200, two))}, two)}};
}

Exchange kept_both(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), one = pattern(n.id, 40, "one"),
                    two = pattern(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n))), until_answers(1),
                     send(request(n, "POST", path(n), {length(up)}, 1) + up)},
          .requests = {get({until_whole(), send(answer(200, one))}, one),
                       post(up, {until_whole(), send(answer(200, two))}, two)}};
}

Exchange kept_service_closes(const Names& n) {
  const std::string one = pattern(n.id, 40, "one"), two = pattern(n.id, 40, "two");
  return {
      .client = {send(request(n, "GET", path(n))), until_answers(1), send(request(n, "GET", path(n), {}, 1))},
      .requests = {get({until_whole(), send(answer(200, one, {kClose})), close_it()}, one),
                   get({until_whole(), send(answer(200, two))}, two)}};
}

// It says nothing of closing, and closes: the next request must not be lost.
Exchange kept_service_leaves(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), one = pattern(n.id, 40, "one"),
                    two = pattern(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n))), until_answers(1), pause_ms(2),
                     send(request(n, "POST", path(n), {length(up)}, 1) + up)},
          .requests = {get({until_whole(), send(answer(200, one)), close_it()}, one),
                       post(up, {until_whole(), send(answer(200, two))}, two)}};
}

Exchange kept_client_closes(const Names& n) {
  const std::string one = pattern(n.id, 40, "one");
  return {.client = {send(request(n, "GET", path(n), {kClose}))},
          .requests = {get({until_whole(), send(answer(200, one))}, one)},
          .last_closes = true};
}

// A kept connection's service reads the request, works, and closes without a word. A POST is not sent again.
Exchange kept_post_dropped(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), one = pattern(n.id, 40, "one");
  return {.client = {send(request(n, "GET", path(n))), until_answers(1),
                     send(request(n, "POST", path(n), {length(up)}, 1) + up)},
          .requests = {get({until_whole(), send(answer(200, one))}, one),
                       post(up, {until_whole(), close_it()}, "", 502)}};
}

Exchange kept_get_dropped(const Names& n) {
  const std::string one = pattern(n.id, 40, "one"), two = pattern(n.id, 40, "two");
  Wanted second = get({until_whole(), close_it()}, two);
  second.attempts.push_back({until_whole(), send(answer(200, two))});
  return {
      .client = {send(request(n, "GET", path(n))), until_answers(1), send(request(n, "GET", path(n), {}, 1))},
      .requests = {get({until_whole(), send(answer(200, one))}, one), second},
      .may_repeat = true,
      .any_status = true};
}

Exchange no_answer(const Names& n) {
  const std::string up = pattern(n.id, 30, "up");
  return {.client = {send(request(n, "POST", path(n), {length(up)}) + up)},
          .requests = {post(up, {until_whole(), close_it()}, "", 502)}};
}

Exchange interim(const Names& n) {
  const std::string body = pattern(n.id, 40);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {
              get({until_whole(), send(head("HTTP/1.1 102 Processing", {})), pause_ms(1),
                   send(head("HTTP/1.1 103 Early Hints", {"Link: </a>; rel=preload"}) + answer(200, body))},
                  body)}};
}

Exchange interim_continue(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(up)}) + up)},
          .requests = {post(
              up, {send(head("HTTP/1.1 100 Continue", {})), until_whole(), send(answer(200, body))}, body)}};
}

Exchange trailers(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), body = pattern(n.id, 40);
  const std::string last = "0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n";
  return {.client = {send(request(n, "POST", path(n), {kChunked, "Trailer: X-Sum"}) + chunk(up) + last)},
          .requests = {post(up,
                            {until_whole(), send(head("HTTP/1.1 200 OK", {kChunked, "Trailer: X-Sum"}) +
                                                 chunk(body) + last)},
                            body)}};
}

Exchange chunk_extensions(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), body = pattern(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {kChunked}) + chunk(up, ";a=b;c=\"d;e\"") + kLast)},
      .requests = {post(
          up, {until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(body, ";name=value") + kLast)},
          body)}};
}

const Extra kWebSocket{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
const std::string kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

Wanted tunnel(Steps service, std::string down, std::string up) {
  return {.status = 101,
          .attempts = {std::move(service)},
          .upgrade = true,
          .raw_down = std::move(down),
          .raw_up = std::move(up),
          .drops_upgrade = false};
}

Exchange upgrade(const Names& n) {
  const std::string up = pattern(n.id, 40, "up"), down = pattern(n.id, 50, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocket)), until_heads(1), send(up)},
          .requests = {tunnel({until_whole(), send(kSwitching + down.substr(0, 20)), until_raw(40),
                               send(down.substr(20)), close_it()},
                              down, up)}};
}

Exchange upgrade_client_leaves(const Names& n) {
  const std::string up = pattern(n.id, 40, "up"), down = pattern(n.id, 30, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocket)), until_heads(1), send(up), until_raw(30),
                     close_it()},
          .requests = {tunnel({until_whole(), send(kSwitching), until_raw(40), send(down)}, down, up)}};
}

Exchange upgrade_big(const Names& n) {
  const std::string up = pattern(n.id, 150'000, "up"), down = pattern(n.id, 200'000, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocket)), until_heads(1), send(up)},
          .requests = {tunnel({until_whole(), send(kSwitching + down), until_raw(up.size()), close_it()},
                              down, up)},
          .slow_reader = true};
}

Exchange upgrade_refused(const Names& n) {
  const std::string body = pattern(n.id, 40);
  Wanted wanted = get({until_whole(), send(answer(426, body))}, body, 426);
  wanted.upgrade = true;
  wanted.drops_upgrade = false;
  return {.client = {send(request(n, "GET", path(n), kWebSocket))}, .requests = {wanted}};
}

Exchange upgrade_with_body(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), body = pattern(n.id, 40);
  Extra lines = kWebSocket;
  lines.push_back(length(up));
  Wanted wanted = post(up, {until_whole(), send(answer(200, body))}, body);
  wanted.drops_upgrade = false;
  return {
      .client = {send(request(n, "POST", path(n), lines) + up)}, .requests = {wanted}, .any_status = true};
}

Exchange upgrade_not_asked_for(const Names& n) {
  const std::string down = pattern(n.id, 20);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {get({until_whole(), send(kSwitching + down)}, "", 502)}};
}

const Extra kToHttp2{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                     "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"};

Exchange h2c_get(const Names& n) {
  const std::string body = pattern(n.id, 40);
  return {.client = {send(request(n, "GET", path(n), kToHttp2))},
          .requests = {get({until_whole(), send(answer(200, body))}, body)}};
}

Exchange h2c_post(const Names& n) {
  const std::string up = pattern(n.id, 30, "up"), body = pattern(n.id, 40);
  Extra lines = kToHttp2;
  lines.push_back(length(up));
  return {.client = {send(request(n, "POST", path(n), lines) + up)},
          .requests = {post(up, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange h2c_chat(const Names& n) {
  const std::string sent = json(n, 40), body = pattern(n.id, 40);
  Extra lines = kToHttp2;
  lines.push_back(kChunked);
  return {.client = {send(request(n, "POST", "/v1/chat/completions", lines) + chunk(sent.substr(0, 20))),
                     pause_ms(1), send(chunk(sent.substr(20)) + kLast)},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

Exchange half_closed(const Names& n) {
  const std::string body = pattern(n.id, 40);
  return {.client = {send(request(n, "GET", path(n))), shut_sending()},
          .requests = {get({until_whole(), pause_ms(2), send(answer(200, body))}, body)}};
}

Exchange half_closed_post(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {length(sent)}) + sent), shut_sending()},
          .requests = {post(sent, {until_whole(), pause_ms(2), send(answer(200, body))}, body)}};
}

Exchange half_closed_stream(const Names& n) {
  const std::string a = pattern(n.id, 30, "a"), b = pattern(n.id, 25, "b");
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(5),
                send(chunk(b) + kLast)};
  return {.client = {send(request(n, "GET", path(n))), until_heads(1), shut_sending()},
          .requests = {get(service, a + b)}};
}

Exchange client_leaves_stream(const Names& n) {
  Steps service{until_whole(), send(head("HTTP/1.1 200 OK", {kChunked}))};
  std::string body;
  for (int i = 0; i < 50; ++i) {
    const std::string part = pattern(n.id, 20, fmt::format("p{}-", i));
    body += part;
    service.push_back(send(chunk(part)));
    service.push_back(pause_ms(5));
  }
  return {.client = {send(request(n, "GET", path(n))), until_heads(1), pause_ms(2), close_it()},
          .requests = {get(service, body)},
          .endless = true};
}

// Answered by the daemon itself.
Exchange control_plane(const Names& n) {
  return {.client = {send(request(n, "GET", "/v1/line"))}, .requests = {{}}, .any_status = true};
}

Exchange nothing_there(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up");
  return {.client = {send(request(n, "POST", "/no/such/thing", {length(sent)}) + sent.substr(0, 10)),
                     pause_ms(3), send(sent.substr(10))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

Exchange no_such_consumer(const Names& n) {
  const std::string sent = "{\"model\":\"nobody\",\"prompt\":\"" + pattern(n.id, 60, "say") + "\"}";
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {length(sent)}) + sent.substr(0, 25)),
                     pause_ms(3), send(sent.substr(25))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

Exchange not_json(const Names& n) {
  const std::string sent = "[1,2," + pattern(n.id, 100, "say");
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {length(sent)}) + sent.substr(0, 25)),
                     pause_ms(3), send(sent.substr(25))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

Exchange too_large(const Names& n) {
  const std::string sent = pattern(n.id, 3'000, "up");
  return {.client = {send(request(n, "POST", path(n), {"Content-Length: 3000000"})), pause_ms(2), send(sent),
                     until_answers(1), close_it()},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

Exchange lease_bound(const Names& n) {
  const std::string sent = fmt::format(R"({{"consumer":"{}","bind":"connection"}})", n.lane);
  return {.client = {send(request(n, "POST", "/v1/leases", {length(sent)}) + sent), until_heads(1),
                     pause_ms(5), close_it()},
          .requests = {{.method = "POST"}},
          .endless = true,
          .any_status = true};
}

Exchange events(const Names& n) {
  return {.client = {send(request(n, "GET", "/v1/events")), until_heads(1), pause_ms(3), close_it()},
          .requests = {{}},
          .endless = true,
          .any_status = true};
}

Exchange free_path(const Names& n) {
  const std::string sent = pattern(n.id, 40, "up"), body = pattern(n.id, 40);
  return {.client = {send(request(n, "POST", path(n, "/free/x"), {length(sent)}) + sent.substr(0, 20)),
                     pause_ms(1), send(sent.substr(20))},
          .requests = {post(sent, {until_whole(), send(answer(200, body))}, body)}};
}

}  // namespace

const std::vector<Script>& all_scripts() {
  static const std::vector<Script> scripts{{"get-length", get_length},
                                           {"get-chunked", get_chunked},
                                           {"get-empty", get_empty},
                                           {"get-until-close", get_until_close},
                                           {"get-http-1.0-service", get_http_1_0_service},
                                           {"get-big", get_big},
                                           {"get-big-chunked", get_big_chunked},
                                           {"head", head_request},
                                           {"no-content", no_content},
                                           {"not-modified", not_modified},
                                           {"delete", delete_request},
                                           {"post-length", post_length},
                                           {"post-two-pieces", post_two_pieces},
                                           {"post-chunked", post_chunked},
                                           {"post-empty", post_empty},
                                           {"post-chunked-empty", post_chunked_empty},
                                           {"post-big", post_big},
                                           {"post-big-chunked", post_big_chunked},
                                           {"chat", chat},
                                           {"chat-stream", chat_stream},
                                           {"chat-named-last", chat_named_last},
                                           {"chat-chunked-body", chat_chunked_body},
                                           {"ollama-stream", ollama_stream},
                                           {"early-close", early_close},
                                           {"early-kept", early_kept},
                                           {"early-stream", early_stream},
                                           {"early-big", early_big},
                                           {"early-big-kept", early_big_kept},
                                           {"early-chat", early_chat},
                                           {"early-then-next", early_then_next},
                                           {"expect-continue", expect_continue},
                                           {"expect-impatient", expect_impatient},
                                           {"expect-refused", expect_refused},
                                           {"error-500", error_500},
                                           {"error-chunked", error_chunked},
                                           {"oom-retry", oom_retry},
                                           {"oom-retry-chat", oom_retry_chat},
                                           {"oom-twice", oom_twice},
                                           {"http-1.0", http_1_0},
                                           {"http-1.0-kept", http_1_0_kept},
                                           {"http-1.0-stream", http_1_0_stream},
                                           {"pipelined-gets", pipelined_gets},
                                           {"pipelined-posts", pipelined_posts},
                                           {"kept-both", kept_both},
                                           {"kept-service-closes", kept_service_closes},
                                           {"kept-service-leaves", kept_service_leaves},
                                           {"kept-client-closes", kept_client_closes},
                                           {"kept-post-dropped", kept_post_dropped},
                                           {"kept-get-dropped", kept_get_dropped},
                                           {"no-answer", no_answer},
                                           {"interim", interim},
                                           {"interim-continue", interim_continue},
                                           {"trailers", trailers},
                                           {"chunk-extensions", chunk_extensions},
                                           {"upgrade", upgrade},
                                           {"upgrade-client-leaves", upgrade_client_leaves},
                                           {"upgrade-big", upgrade_big},
                                           {"upgrade-refused", upgrade_refused},
                                           {"upgrade-with-body", upgrade_with_body},
                                           {"upgrade-not-asked-for", upgrade_not_asked_for},
                                           {"h2c-get", h2c_get},
                                           {"h2c-post", h2c_post},
                                           {"h2c-chat", h2c_chat},
                                           {"half-closed", half_closed},
                                           {"half-closed-post", half_closed_post},
                                           {"half-closed-stream", half_closed_stream},
                                           {"client-leaves-stream", client_leaves_stream},
                                           {"control-plane", control_plane},
                                           {"nothing-there", nothing_there},
                                           {"no-such-consumer", no_such_consumer},
                                           {"not-json", not_json},
                                           {"too-large", too_large},
                                           {"lease-bound", lease_bound},
                                           {"events", events},
                                           {"free-path", free_path}};
  return scripts;
}

}  // namespace mgpu::faults
