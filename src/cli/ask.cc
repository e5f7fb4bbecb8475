#include "cli/ask.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "cli/exit_codes.h"
#include "cli/memory.h"
#include "cli/show.h"
#include "client/api_calls.h"
#include "client/url.h"

namespace mgpu::cli {
namespace {

using client::Json;

int failed(const Failure& failure) {
  fmt::print(stderr, "{}\n", sanitize_lines("mgpu: " + failure.code + ": " + failure.detail));
  return failure.code == "unavailable" ? kUnreachable : failure.code == "invalid_request" ? kUsage : kFailed;
}

int print(const Outcome<Json>& answer, const Options& options, std::string (*show)(const Json&)) {
  if (!answer) return failed(answer.failure());
  fmt::print("{}", sanitize_lines(options.json ? answer->dump(2) + "\n" : show(*answer)));
  std::fflush(stdout);
  return kOk;
}

std::string url_of(const Options& options) { return client::url_or_default(options.url); }

// A name within a path of the API: everything but unreserved characters is escaped.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || c == '.' || c == '-' || c == '_' || c == '~';
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return result;
}

}  // namespace

int print_status(const Options& options) {
  constexpr auto kEvery = std::chrono::seconds(1);
  constexpr const char* kClear = "\033[H\033[2J";
  for (;;) {
    const auto answer = client::get(url_of(options), "/v1/status");
    if (options.watch && !options.json && isatty(STDOUT_FILENO) == 1) fmt::print("{}", kClear);
    const int code = print(answer, options, show_status);
    if (code != kOk || !options.watch) return code;
    std::this_thread::sleep_for(kEvery);
  }
}

int print_memory(const Options& options) {
  const auto status = client::get(url_of(options), "/v1/status");
  if (!status) return failed(status.failure());
  return print(Outcome<Json>(memory_of(*status)), options, show_memory);
}

int print_consumers(const Options& options) {
  const auto answer = client::get(url_of(options), "/v1/consumers");
  if (!options.names || !answer) return print(answer, options, show_consumers);
  const Json& list = answer->is_array() ? *answer : answer->at("consumers");
  for (const Json& consumer : list) fmt::print("{}\n", sanitize_text(consumer.value("name", "")));
  return kOk;
}

int print_line(const Options& options) {
  return print(client::get(url_of(options), "/v1/line"), options, show_line);
}

int print_footprints(const Options& options) {
  return print(client::get(url_of(options), "/v1/footprints"), options, show_footprints);
}

int forget_footprint(const Options& options) {
  const auto answer = client::del(url_of(options), "/v1/footprints/" + escaped(options.consumer));
  if (!answer) return failed(answer.failure());
  fmt::print("what was learned of {} is forgotten\n", options.consumer);
  return kOk;
}

int cancel_ticket(const Options& options) {
  const auto answer = client::del(url_of(options), fmt::format("/v1/line/{}", options.ticket));
  if (!answer || options.json) return print(answer, options, nullptr);
  fmt::print("ticket {} is out of the line\n", options.ticket);
  return kOk;
}

int explain(const Options& options) {
  const std::string url = url_of(options);
  if (!options.consumer.empty()) {
    const std::string priority = options.priority.empty() ? "" : "&priority=" + options.priority;
    return print(client::get(url, "/v1/explain/next?consumer=" + escaped(options.consumer) + priority),
                 options, show_sentences);
  }
  return print(client::get(url, fmt::format("/v1/tickets/{}/explanation", options.ticket)), options,
               show_sentences);
}

int steer(const Options& options, const std::string& verb) {
  // "ollama/llama3": one AI model of a consumer that has several. No name of a consumer has a slash.
  const std::size_t slash = std::min(options.consumer.find('/'), options.consumer.size());
  std::string path = "/v1/consumers/" + escaped(options.consumer.substr(0, slash)) + "/" + verb;
  if (slash < options.consumer.size()) path += "?ai_model=" + escaped(options.consumer.substr(slash + 1));
  return print(client::post(url_of(options), path, Json::object()), options, show_steered);
}

int print_events(const Options& options) {
  const std::string path = options.follow ? "/v1/events" : "/v1/events?follow=false";
  const auto end =
      client::follow_events(url_of(options), path, "", [&](const client::ServerSentEvent& event) {
        fmt::print("{}\n", sanitize_text(options.json ? event_json(event) : show_event(event)));
        std::fflush(stdout);
        return true;
      });
  return end ? kOk : failed(end.failure());
}

}  // namespace mgpu::cli
