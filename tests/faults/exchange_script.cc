#include "exchange_script.h"

#include <fmt/format.h>

namespace mgpu::faults {

Step send(std::string bytes) { return {.kind = Step::Kind::send, .bytes = std::move(bytes)}; }
Step pause_ms(int ms) { return {.kind = Step::Kind::pause, .pause_ms = ms}; }
Step shut_sending() { return {.kind = Step::Kind::shut_sending}; }
Step close_connection() { return {.kind = Step::Kind::close}; }

namespace {

Step wait_until(std::function<bool(const WaitContext&)> condition) {
  return {.kind = Step::Kind::wait, .condition = std::move(condition)};
}

}  // namespace

Step wait_for_answers(std::size_t count) {
  return wait_until([count](const WaitContext& view) { return view.reader.complete_count() >= count; });
}
Step wait_for_heads(std::size_t count) {
  return wait_until([count](const WaitContext& view) { return view.reader.messages.size() >= count; });
}
Step wait_for_interims(int count) {
  return wait_until([count](const WaitContext& view) {
    return view.reader.interim_count >= count || !view.reader.messages.empty();
  });
}
Step wait_for_request() {
  return wait_until(
      [](const WaitContext& view) { return view.reader.messages[view.message_index].complete; });
}
Step wait_for_body(std::size_t bytes) {
  return wait_until([bytes](const WaitContext& view) {
    const Message& request = view.reader.messages[view.message_index];
    return request.complete || request.body.size() >= bytes;
  });
}
Step wait_for_raw(std::size_t bytes) {
  return wait_until([bytes](const WaitContext& view) { return view.reader.raw.size() >= bytes; });
}

namespace {

using HeaderLines = std::vector<std::string>;

std::string filler_text(const std::string& id, std::size_t size, std::string_view what = "part") {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += fmt::format("{}:{}{:06} ", id, what, i);
  text.resize(size);
  return text;
}

std::string head(std::string_view first, const HeaderLines& lines) {
  std::string text = std::string(first) + "\r\n";
  for (const std::string& line : lines) text += line + "\r\n";
  return text + "\r\n";
}

std::string path(const CaseNames& names, std::string_view rest = "/work") {
  return fmt::format("/c/{}{}", names.lane, rest);
}

std::string content_length(std::string_view body) { return fmt::format("Content-Length: {}", body.size()); }

// X-Case has the case and the number of the request within its exchange, so that the service can identify it.
std::string request(const CaseNames& names, std::string_view method, const std::string& target,
                    HeaderLines extra_headers = {}, int number = 0, std::string_view version = "HTTP/1.1") {
  HeaderLines lines{"Host: mgpu", fmt::format("X-Case: {}-{}", names.id, number)};
  lines.insert(lines.end(), extra_headers.begin(), extra_headers.end());
  return head(fmt::format("{} {} {}", method, target, version), lines);
}

std::string answer(int status, const std::string& body, HeaderLines extra_headers = {}) {
  HeaderLines lines{"Content-Type: text/plain", content_length(body)};
  lines.insert(lines.end(), extra_headers.begin(), extra_headers.end());
  return head(fmt::format("HTTP/1.1 {} Whatever", status), lines) + body;
}

std::string chunk(std::string_view data, std::string_view extension = "") {
  return fmt::format("{:x}{}\r\n{}\r\n", data.size(), extension, data);
}

const std::string kLastChunk = "0\r\n\r\n";
const std::string kChunked = "Transfer-Encoding: chunked";
const std::string kConnectionClose = "Connection: close";

ExpectedRequest expected_get(Steps service, std::string body, int status = 200) {
  return {.status = status, .answer_body = std::move(body), .attempts = {std::move(service)}};
}
ExpectedRequest expected_post(std::string request_body, Steps service, std::string body, int status = 200) {
  return {.method = "POST",
          .request_body = std::move(request_body),
          .status = status,
          .answer_body = std::move(body),
          .attempts = {std::move(service)}};
}

ExchangeScript get_length(const CaseNames& n) {
  const std::string body = filler_text(n.id, 60);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get({wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript get_chunked(const CaseNames& n) {
  const std::string a = filler_text(n.id, 30, "a"), b = filler_text(n.id, 25, "b");
  Steps service{wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLastChunk)};
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {expected_get(service, a + b)}};
}

ExchangeScript get_empty(const CaseNames& n) {
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get({wait_for_request(), send(answer(200, ""))}, "")}};
}

ExchangeScript get_until_close(const CaseNames& n) {
  const std::string body = filler_text(n.id, 50);
  ExpectedRequest expected =
      expected_get({wait_for_request(),
                    send(head("HTTP/1.1 200 OK", {"Content-Type: text/plain", kConnectionClose}) + body),
                    close_connection()},
                   body);
  expected.until_close = true;
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {expected}};
}

ExchangeScript get_http_1_0_service(const CaseNames& n) {
  const std::string body = filler_text(n.id, 50);
  ExpectedRequest expected = expected_get(
      {wait_for_request(), send(head("HTTP/1.0 200 OK", {"Server: SimpleHTTP"}) + body), close_connection()},
      body);
  expected.until_close = true;
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {expected}};
}

ExchangeScript get_big(const CaseNames& n) {
  const std::string body = filler_text(n.id, 300'000);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get({wait_for_request(), send(answer(200, body))}, body)},
          .slow_reader = true};
}

ExchangeScript get_big_chunked(const CaseNames& n) {
  Steps service{wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}))};
  std::string body;
  for (int i = 0; i < 20; ++i) {
    const std::string part = filler_text(n.id, 9'000, fmt::format("p{}-", i));
    body += part;
    service.push_back(send(chunk(part)));
  }
  service.push_back(send(kLastChunk));
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get(service, body)},
          .slow_reader = true};
}

ExchangeScript head_request(const CaseNames& n) {
  ExpectedRequest expected =
      expected_get({wait_for_request(), send(head("HTTP/1.1 200 OK", {"Content-Length: 1234"}))}, "");
  expected.method = "HEAD";
  return {.client = {send(request(n, "HEAD", path(n)))}, .requests = {expected}};
}

ExchangeScript no_content(const CaseNames& n) {
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get({wait_for_request(), send(head("HTTP/1.1 204 No Content", {"X-A: b"}))},
                                    "", 204)}};
}

ExchangeScript not_modified(const CaseNames& n) {
  return {.client = {send(request(n, "GET", path(n), {"If-None-Match: \"x\""}))},
          .requests = {expected_get({wait_for_request(), send(head("HTTP/1.1 304 Not Modified",
                                                                   {"ETag: \"x\"", "Content-Length: 99"}))},
                                    "", 304)}};
}

ExchangeScript delete_request(const CaseNames& n) {
  const std::string body = filler_text(n.id, 20);
  ExpectedRequest expected = expected_get({wait_for_request(), send(answer(200, body))}, body);
  expected.method = "DELETE";
  return {.client = {send(request(n, "DELETE", path(n)))}, .requests = {expected}};
}

ExchangeScript post_length(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 70, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_two_pieces(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 70, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent.substr(0, 20)),
                     pause_ms(3), send(sent.substr(20))},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_chunked(const CaseNames& n) {
  const std::string a = filler_text(n.id, 30, "a"), b = filler_text(n.id, 25, "b"),
                    body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + chunk(a)), pause_ms(1),
                     send(chunk(b) + kLastChunk)},
          .requests = {expected_post(a + b, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_empty(const CaseNames& n) {
  const std::string body = filler_text(n.id, 20);
  return {.client = {send(request(n, "POST", path(n), {"Content-Length: 0"}))},
          .requests = {expected_post("", {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_chunked_empty(const CaseNames& n) {
  const std::string body = filler_text(n.id, 20);
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + kLastChunk)},
          .requests = {expected_post("", {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_big(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 400'000, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript post_big_chunked(const CaseNames& n) {
  Steps client{send(request(n, "POST", path(n), {kChunked}))};
  std::string sent;
  for (int i = 0; i < 20; ++i) {
    const std::string part = filler_text(n.id, 9'000, fmt::format("p{}-", i));
    sent += part;
    client.push_back(send(chunk(part)));
  }
  client.push_back(send(kLastChunk));
  const std::string body = filler_text(n.id, 40);
  return {.client = client,
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

std::string chat_body(const CaseNames& n, std::size_t padding, bool name_first = true) {
  const std::string name = fmt::format(R"("model":"{}")", n.lane);
  const std::string text = fmt::format(R"("prompt":"{}")", filler_text(n.id, padding, "say"));
  return "{" + (name_first ? name + "," + text : text + "," + name) + "}";
}

ExchangeScript chat(const CaseNames& n) {
  const std::string sent = chat_body(n, 30), body = "{\"id\":\"" + filler_text(n.id, 30) + "\"}";
  return {.client = {send(request(n, "POST", "/v1/chat/completions",
                                  {content_length(sent), "Content-Type: application/json"}) +
                          sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript chat_stream(const CaseNames& n) {
  const std::string sent = chat_body(n, 30);
  Steps service{wait_for_request(),
                send(head("HTTP/1.1 200 OK", {kChunked, "Content-Type: text/event-stream"}))};
  std::string body;
  for (int i = 0; i < 3; ++i) {
    const std::string event = fmt::format("data: {}-{}\n\n", n.id, i);
    body += event;
    service.push_back(send(chunk(event)));
    service.push_back(pause_ms(1));
  }
  service.push_back(send(kLastChunk));
  return {.client = {send(request(n, "POST", "/v1/chat/completions",
                                  {content_length(sent), "Content-Type: application/json"}) +
                          sent)},
          .requests = {expected_post(sent, service, body)}};
}

// The AI model's name is at the end: the daemon must read and spool the whole body to find the consumer.
ExchangeScript chat_named_last(const CaseNames& n) {
  const std::string sent = chat_body(n, 20'000, false), body = filler_text(n.id, 30);
  return {.client = {send(request(n, "POST", "/v1/chat/completions",
                                  {content_length(sent), "Content-Type: application/json"}) +
                          sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript chat_chunked_body(const CaseNames& n) {
  const std::string sent = chat_body(n, 40), body = filler_text(n.id, 30);
  return {.client = {send(request(n, "POST", "/v1/chat/completions",
                                  {kChunked, "Content-Type: application/json"}) +
                          chunk(sent.substr(0, 11))),
                     pause_ms(1), send(chunk(sent.substr(11)) + kLastChunk)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript ollama_stream(const CaseNames& n) {
  const std::string sent = chat_body(n, 30);
  const std::string a = fmt::format("{{\"response\":\"{}a\"}}\n", n.id),
                    b = fmt::format("{{\"response\":\"{}b\",\"done\":true}}\n", n.id);
  Steps service{wait_for_request(),
                send(head("HTTP/1.1 200 OK", {kChunked, "Content-Type: application/x-ndjson"}) + chunk(a)),
                pause_ms(1), send(chunk(b) + kLastChunk)};
  return {.client = {send(request(n, "POST", "/api/generate", {content_length(sent)}) + sent)},
          .requests = {expected_post(sent, service, a + b)}};
}

// The client first sends more than the daemon reads before the turn (body_memory), so that the service can
// answer before the rest arrives.
constexpr std::size_t kUploadSize = 3'000, kFirstPartSize = 1'500;

// Like python3 -m http.server: answers a POST with 501, does not read the body, closes the connection.
ExchangeScript early_close(const CaseNames& n) {
  const std::string sent = filler_text(n.id, kUploadSize, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent.substr(0, kFirstPartSize)),
                 pause_ms(8), send(sent.substr(kFirstPartSize))},
      .requests = {expected_post(sent, {send(answer(501, body, {kConnectionClose})), close_connection()},
                                 body, 501)},
      .body_may_be_cut = true};
}

ExchangeScript early_kept(const CaseNames& n) {
  const std::string sent = filler_text(n.id, kUploadSize, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent.substr(0, kFirstPartSize)),
                 wait_for_heads(1), pause_ms(2), send(sent.substr(kFirstPartSize))},
      .requests = {expected_post(sent, {wait_for_body(kFirstPartSize), send(answer(200, body))}, body)},
      .body_may_be_cut = true};
}

ExchangeScript early_stream(const CaseNames& n) {
  const std::string sent = filler_text(n.id, kUploadSize, "up"), a = filler_text(n.id, 20, "a"),
                    b = filler_text(n.id, 20, "b");
  return {.client = {send(request(n, "POST", path(n), {kChunked}) + chunk(sent.substr(0, kFirstPartSize))),
                     wait_for_heads(1), send(chunk(sent.substr(kFirstPartSize)) + kLastChunk)},
          .requests = {expected_post(
              sent,
              {wait_for_body(kFirstPartSize), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)),
               wait_for_request(), send(chunk(b) + kLastChunk)},
              a + b)},
          .any_status = true};
}

ExchangeScript early_big(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 400'000, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected_post(sent,
                                     {wait_for_body(kFirstPartSize),
                                      send(answer(413, body, {kConnectionClose})), close_connection()},
                                     body, 413)},
          .body_may_be_cut = true};
}

ExchangeScript early_big_kept(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 400'000, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent.substr(0, 100'000)),
                 wait_for_heads(1), send(sent.substr(100'000))},
      .requests = {expected_post(sent, {wait_for_body(kFirstPartSize), send(answer(400, body))}, body, 400)},
      .body_may_be_cut = true};
}

ExchangeScript early_chat(const CaseNames& n) {
  const std::string sent = chat_body(n, kUploadSize), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {content_length(sent)}) +
                          sent.substr(0, kFirstPartSize)),
                     pause_ms(8), send(sent.substr(kFirstPartSize))},
          .requests = {expected_post(sent, {send(answer(501, body, {kConnectionClose})), close_connection()},
                                     body, 501)},
          .body_may_be_cut = true};
}

ExchangeScript early_then_next(const CaseNames& n) {
  const std::string sent = filler_text(n.id, kUploadSize, "up"), body = filler_text(n.id, 40),
                    next = filler_text(n.id, 30, "next");
  return {
      .client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent.substr(0, kFirstPartSize)),
                 wait_for_answers(1), send(sent.substr(kFirstPartSize) + request(n, "GET", path(n), {}, 1))},
      .requests = {expected_post(sent, {wait_for_body(kFirstPartSize), send(answer(501, body))}, body, 501),
                   expected_get({wait_for_request(), send(answer(200, next))}, next)},
      .body_may_be_cut = true};
}

ExchangeScript expect_continue(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent), "Expect: 100-continue"})),
                     wait_for_interims(1), send(sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript expect_impatient(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent), "Expect: 100-continue"})),
                     pause_ms(2), send(sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript expect_refused(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent), "Expect: 100-continue"})),
                     wait_for_interims(1), send(sent)},
          .requests = {expected_post(sent, {send(answer(403, body)), wait_for_request()}, body, 403)},
          .body_may_be_cut = true,
          .any_status = true};
}

ExchangeScript error_500(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(500, body))}, body, 500)}};
}

ExchangeScript error_chunked(const CaseNames& n) {
  const std::string a = filler_text(n.id, 30, "a"), b = filler_text(n.id, 25, "b");
  Steps service{wait_for_request(), send(head("HTTP/1.1 404 Not Found", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLastChunk)};
  return {.client = {send(request(n, "GET", path(n)))}, .requests = {expected_get(service, a + b, 404)}};
}

Steps out_of_memory_steps() {
  return {wait_for_request(), send(answer(503, "{\"error\":\"CUDA out of memory\"}"))};
}

ExchangeScript oom_retry(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  ExpectedRequest expected = expected_post(sent, out_of_memory_steps(), body);
  expected.attempts.push_back({wait_for_request(), send(answer(200, body))});
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected},
          .may_repeat = true};
}

ExchangeScript oom_retry_chat(const CaseNames& n) {
  const std::string sent = chat_body(n, 40), body = filler_text(n.id, 40);
  ExpectedRequest expected = expected_post(sent, out_of_memory_steps(), body);
  expected.attempts.push_back({wait_for_request(), send(answer(200, body))});
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {content_length(sent)}) + sent)},
          .requests = {expected},
          .may_repeat = true};
}

ExchangeScript oom_twice(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up");
  ExpectedRequest expected = expected_post(sent, out_of_memory_steps(), "", 503);
  return {.client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent)},
          .requests = {expected},
          .may_repeat = true,
          .any_status = true};
}

ExchangeScript http_1_0(const CaseNames& n) {
  const std::string body = filler_text(n.id, 40);
  return {.client = {send(request(n, "GET", path(n), {}, 0, "HTTP/1.0"))},
          .requests = {expected_get({wait_for_request(), send(answer(200, body))}, body)},
          .http_1_0 = true,
          .last_closes = true};
}

ExchangeScript http_1_0_kept(const CaseNames& n) {
  const std::string one = filler_text(n.id, 40, "one"), two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n), {"Connection: keep-alive"}, 0, "HTTP/1.0")),
                     wait_for_answers(1), send(request(n, "GET", path(n), {}, 1, "HTTP/1.0"))},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one),
                       expected_get({wait_for_request(), send(answer(200, two))}, two)},
          .http_1_0 = true,
          .last_closes = true};
}

ExchangeScript http_1_0_stream(const CaseNames& n) {
  const std::string a = filler_text(n.id, 30, "a"), b = filler_text(n.id, 25, "b");
  Steps service{wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(1),
                send(chunk(b) + kLastChunk)};
  return {.client = {send(request(n, "GET", path(n), {}, 0, "HTTP/1.0"))},
          .requests = {expected_get(service, a + b)},
          .http_1_0 = true,
          .last_closes = true};
}

ExchangeScript pipelined_gets(const CaseNames& n) {
  const std::string one = filler_text(n.id, 40, "one"), two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n)) + request(n, "GET", path(n), {}, 1))},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one),
                       expected_get({wait_for_request(), send(answer(200, two))}, two)}};
}

ExchangeScript pipelined_posts(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), one = filler_text(n.id, 40, "one"),
                    two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "POST", path(n), {content_length(up)}) + up +
                          request(n, "POST", path(n), {kChunked}, 1) + chunk(up) + kLastChunk)},
          .requests = {expected_post(up, {wait_for_request(), send(answer(200, one))}, one),
                       expected_post(up, {wait_for_request(), send(answer(200, two))}, two)}};
}

ExchangeScript kept_both(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), one = filler_text(n.id, 40, "one"),
                    two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n))), wait_for_answers(1),
                     send(request(n, "POST", path(n), {content_length(up)}, 1) + up)},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one),
                       expected_post(up, {wait_for_request(), send(answer(200, two))}, two)}};
}

ExchangeScript kept_service_closes(const CaseNames& n) {
  const std::string one = filler_text(n.id, 40, "one"), two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n))), wait_for_answers(1),
                     send(request(n, "GET", path(n), {}, 1))},
          .requests = {
              expected_get(
                  {wait_for_request(), send(answer(200, one, {kConnectionClose})), close_connection()}, one),
              expected_get({wait_for_request(), send(answer(200, two))}, two)}};
}

// The service closes without announcing it: the next request must not be lost.
ExchangeScript kept_service_leaves(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), one = filler_text(n.id, 40, "one"),
                    two = filler_text(n.id, 40, "two");
  return {.client = {send(request(n, "GET", path(n))), wait_for_answers(1), pause_ms(2),
                     send(request(n, "POST", path(n), {content_length(up)}, 1) + up)},
          .requests = {expected_get({wait_for_request(), send(answer(200, one)), close_connection()}, one),
                       expected_post(up, {wait_for_request(), send(answer(200, two))}, two)}};
}

ExchangeScript kept_client_closes(const CaseNames& n) {
  const std::string one = filler_text(n.id, 40, "one");
  return {.client = {send(request(n, "GET", path(n), {kConnectionClose}))},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one)},
          .last_closes = true};
}

// The service reads a request on a kept connection and closes without an answer. A POST must not be repeated.
ExchangeScript kept_post_dropped(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), one = filler_text(n.id, 40, "one");
  return {.client = {send(request(n, "GET", path(n))), wait_for_answers(1),
                     send(request(n, "POST", path(n), {content_length(up)}, 1) + up)},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one),
                       expected_post(up, {wait_for_request(), close_connection()}, "", 502)}};
}

ExchangeScript kept_get_dropped(const CaseNames& n) {
  const std::string one = filler_text(n.id, 40, "one"), two = filler_text(n.id, 40, "two");
  ExpectedRequest second = expected_get({wait_for_request(), close_connection()}, two);
  second.attempts.push_back({wait_for_request(), send(answer(200, two))});
  return {.client = {send(request(n, "GET", path(n))), wait_for_answers(1),
                     send(request(n, "GET", path(n), {}, 1))},
          .requests = {expected_get({wait_for_request(), send(answer(200, one))}, one), second},
          .may_repeat = true,
          .any_status = true};
}

ExchangeScript no_answer(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up");
  return {.client = {send(request(n, "POST", path(n), {content_length(up)}) + up)},
          .requests = {expected_post(up, {wait_for_request(), close_connection()}, "", 502)}};
}

ExchangeScript interim(const CaseNames& n) {
  const std::string body = filler_text(n.id, 40);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get(
              {wait_for_request(), send(head("HTTP/1.1 102 Processing", {})), pause_ms(1),
               send(head("HTTP/1.1 103 Early Hints", {"Link: </a>; rel=preload"}) + answer(200, body))},
              body)}};
}

ExchangeScript interim_continue(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {content_length(up)}) + up)},
      .requests = {expected_post(
          up, {send(head("HTTP/1.1 100 Continue", {})), wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript trailers(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), body = filler_text(n.id, 40);
  const std::string last = "0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n";
  return {.client = {send(request(n, "POST", path(n), {kChunked, "Trailer: X-Sum"}) + chunk(up) + last)},
          .requests = {expected_post(
              up,
              {wait_for_request(),
               send(head("HTTP/1.1 200 OK", {kChunked, "Trailer: X-Sum"}) + chunk(body) + last)},
              body)}};
}

ExchangeScript chunk_extensions(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {kChunked}) + chunk(up, ";a=b;c=\"d;e\"") + kLastChunk)},
      .requests = {expected_post(up,
                                 {wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}) +
                                                           chunk(body, ";name=value") + kLastChunk)},
                                 body)}};
}

const HeaderLines kWebSocketUpgrade{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
const std::string kSwitchingProtocols =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

ExpectedRequest expected_tunnel(Steps service, std::string down, std::string up) {
  return {.status = 101,
          .attempts = {std::move(service)},
          .upgrade = true,
          .raw_down = std::move(down),
          .raw_up = std::move(up),
          .drops_upgrade = false};
}

ExchangeScript upgrade(const CaseNames& n) {
  const std::string up = filler_text(n.id, 40, "up"), down = filler_text(n.id, 50, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocketUpgrade)), wait_for_heads(1), send(up)},
          .requests = {expected_tunnel({wait_for_request(), send(kSwitchingProtocols + down.substr(0, 20)),
                                        wait_for_raw(40), send(down.substr(20)), close_connection()},
                                       down, up)}};
}

ExchangeScript upgrade_client_leaves(const CaseNames& n) {
  const std::string up = filler_text(n.id, 40, "up"), down = filler_text(n.id, 30, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocketUpgrade)), wait_for_heads(1), send(up),
                     wait_for_raw(30), close_connection()},
          .requests = {expected_tunnel(
              {wait_for_request(), send(kSwitchingProtocols), wait_for_raw(40), send(down)}, down, up)}};
}

ExchangeScript upgrade_big(const CaseNames& n) {
  const std::string up = filler_text(n.id, 150'000, "up"), down = filler_text(n.id, 200'000, "down");
  return {.client = {send(request(n, "GET", path(n), kWebSocketUpgrade)), wait_for_heads(1), send(up)},
          .requests = {expected_tunnel({wait_for_request(), send(kSwitchingProtocols + down),
                                        wait_for_raw(up.size()), close_connection()},
                                       down, up)},
          .slow_reader = true};
}

ExchangeScript upgrade_refused(const CaseNames& n) {
  const std::string body = filler_text(n.id, 40);
  ExpectedRequest expected = expected_get({wait_for_request(), send(answer(426, body))}, body, 426);
  expected.upgrade = true;
  expected.drops_upgrade = false;
  return {.client = {send(request(n, "GET", path(n), kWebSocketUpgrade))}, .requests = {expected}};
}

ExchangeScript upgrade_with_body(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), body = filler_text(n.id, 40);
  HeaderLines lines = kWebSocketUpgrade;
  lines.push_back(content_length(up));
  ExpectedRequest expected = expected_post(up, {wait_for_request(), send(answer(200, body))}, body);
  expected.drops_upgrade = false;
  return {
      .client = {send(request(n, "POST", path(n), lines) + up)}, .requests = {expected}, .any_status = true};
}

ExchangeScript upgrade_not_asked_for(const CaseNames& n) {
  const std::string down = filler_text(n.id, 20);
  return {.client = {send(request(n, "GET", path(n)))},
          .requests = {expected_get({wait_for_request(), send(kSwitchingProtocols + down)}, "", 502)}};
}

const HeaderLines kH2cUpgrade{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                              "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"};

ExchangeScript h2c_get(const CaseNames& n) {
  const std::string body = filler_text(n.id, 40);
  return {.client = {send(request(n, "GET", path(n), kH2cUpgrade))},
          .requests = {expected_get({wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript h2c_post(const CaseNames& n) {
  const std::string up = filler_text(n.id, 30, "up"), body = filler_text(n.id, 40);
  HeaderLines lines = kH2cUpgrade;
  lines.push_back(content_length(up));
  return {.client = {send(request(n, "POST", path(n), lines) + up)},
          .requests = {expected_post(up, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript h2c_chat(const CaseNames& n) {
  const std::string sent = chat_body(n, 40), body = filler_text(n.id, 40);
  HeaderLines lines = kH2cUpgrade;
  lines.push_back(kChunked);
  return {.client = {send(request(n, "POST", "/v1/chat/completions", lines) + chunk(sent.substr(0, 20))),
                     pause_ms(1), send(chunk(sent.substr(20)) + kLastChunk)},
          .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

ExchangeScript half_closed(const CaseNames& n) {
  const std::string body = filler_text(n.id, 40);
  return {.client = {send(request(n, "GET", path(n))), shut_sending()},
          .requests = {expected_get({wait_for_request(), pause_ms(2), send(answer(200, body))}, body)}};
}

ExchangeScript half_closed_post(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n), {content_length(sent)}) + sent), shut_sending()},
      .requests = {expected_post(sent, {wait_for_request(), pause_ms(2), send(answer(200, body))}, body)}};
}

ExchangeScript half_closed_stream(const CaseNames& n) {
  const std::string a = filler_text(n.id, 30, "a"), b = filler_text(n.id, 25, "b");
  Steps service{wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}) + chunk(a)), pause_ms(5),
                send(chunk(b) + kLastChunk)};
  return {.client = {send(request(n, "GET", path(n))), wait_for_heads(1), shut_sending()},
          .requests = {expected_get(service, a + b)}};
}

ExchangeScript client_leaves_stream(const CaseNames& n) {
  Steps service{wait_for_request(), send(head("HTTP/1.1 200 OK", {kChunked}))};
  std::string body;
  for (int i = 0; i < 50; ++i) {
    const std::string part = filler_text(n.id, 20, fmt::format("p{}-", i));
    body += part;
    service.push_back(send(chunk(part)));
    service.push_back(pause_ms(5));
  }
  return {.client = {send(request(n, "GET", path(n))), wait_for_heads(1), pause_ms(2), close_connection()},
          .requests = {expected_get(service, body)},
          .endless = true};
}

// The daemon answers itself.
ExchangeScript control_plane(const CaseNames& n) {
  return {.client = {send(request(n, "GET", "/v1/line"))}, .requests = {{}}, .any_status = true};
}

ExchangeScript nothing_there(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up");
  return {.client = {send(request(n, "POST", "/no/such/thing", {content_length(sent)}) + sent.substr(0, 10)),
                     pause_ms(3), send(sent.substr(10))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

ExchangeScript no_such_consumer(const CaseNames& n) {
  const std::string sent = "{\"model\":\"nobody\",\"prompt\":\"" + filler_text(n.id, 60, "say") + "\"}";
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {content_length(sent)}) +
                          sent.substr(0, 25)),
                     pause_ms(3), send(sent.substr(25))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

ExchangeScript not_json(const CaseNames& n) {
  const std::string sent = "[1,2," + filler_text(n.id, 100, "say");
  return {.client = {send(request(n, "POST", "/v1/chat/completions", {content_length(sent)}) +
                          sent.substr(0, 25)),
                     pause_ms(3), send(sent.substr(25))},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

ExchangeScript too_large(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 3'000, "up");
  return {.client = {send(request(n, "POST", path(n), {"Content-Length: 3000000"})), pause_ms(2), send(sent),
                     wait_for_answers(1), close_connection()},
          .requests = {{.method = "POST"}},
          .any_status = true};
}

ExchangeScript lease_bound(const CaseNames& n) {
  const std::string sent = fmt::format(R"({{"consumer":"{}","bind":"connection"}})", n.lane);
  return {.client = {send(request(n, "POST", "/v1/leases", {content_length(sent)}) + sent), wait_for_heads(1),
                     pause_ms(5), close_connection()},
          .requests = {{.method = "POST"}},
          .endless = true,
          .any_status = true};
}

ExchangeScript events(const CaseNames& n) {
  return {
      .client = {send(request(n, "GET", "/v1/events")), wait_for_heads(1), pause_ms(3), close_connection()},
      .requests = {{}},
      .endless = true,
      .any_status = true};
}

ExchangeScript free_path(const CaseNames& n) {
  const std::string sent = filler_text(n.id, 40, "up"), body = filler_text(n.id, 40);
  return {
      .client = {send(request(n, "POST", path(n, "/free/x"), {content_length(sent)}) + sent.substr(0, 20)),
                 pause_ms(1), send(sent.substr(20))},
      .requests = {expected_post(sent, {wait_for_request(), send(answer(200, body))}, body)}};
}

}  // namespace

const std::vector<NamedScript>& all_scripts() {
  static const std::vector<NamedScript> scripts{{"get-length", get_length},
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
