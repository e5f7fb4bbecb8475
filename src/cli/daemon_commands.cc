#include "cli/daemon_commands.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/sanitize.h"
#include "cli/answer_format.h"
#include "cli/exit_codes.h"
#include "cli/memory_report.h"
#include "client/api_calls.h"
#include "client/url.h"

namespace mgpu::cli {
namespace {

using client::Json;

int print_failure(const Failure& failure) {
  fmt::print(stderr, "{}\n", sanitize_lines("mgpu: " + failure.code + ": " + failure.detail));
  return failure.code == "unavailable" ? kUnreachable : failure.code == "invalid_request" ? kUsage : kFailed;
}

int print_answer(const Outcome<Json>& answer, const Options& options,
                 std::string (*format_answer)(const Json&)) {
  if (!answer) return print_failure(answer.failure());
  fmt::print("{}", sanitize_lines(options.json ? answer->dump(2) + "\n" : format_answer(*answer)));
  std::fflush(stdout);
  return kOk;
}

std::string daemon_url(const Options& options) { return client::url_or_default(options.url); }

// For a name in a URL: all but unreserved characters are percent-encoded.
std::string url_encoded(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_unreserved = std::isalnum(byte) != 0 || c == '.' || c == '-' || c == '_' || c == '~';
    result += is_unreserved ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return result;
}

}  // namespace

int print_status(const Options& options) {
  constexpr auto kRefreshInterval = std::chrono::seconds(1);
  constexpr const char* kClearScreen = "\033[H\033[2J";
  for (;;) {
    const auto answer = client::get(daemon_url(options), "/v1/status");
    if (options.watch && !options.json && isatty(STDOUT_FILENO) == 1) fmt::print("{}", kClearScreen);
    const int code = print_answer(answer, options, format_status);
    if (code != kOk || !options.watch) return code;
    std::this_thread::sleep_for(kRefreshInterval);
  }
}

int print_memory(const Options& options) {
  const auto status = client::get(daemon_url(options), "/v1/status");
  if (!status) return print_failure(status.failure());
  return print_answer(Outcome<Json>(memory_report(*status)), options, format_memory);
}

int print_consumers(const Options& options) {
  const auto answer = client::get(daemon_url(options), "/v1/consumers");
  if (!options.names || !answer) return print_answer(answer, options, format_consumers);
  const Json& list = answer->is_array() ? *answer : answer->at("consumers");
  for (const Json& consumer : list) fmt::print("{}\n", sanitize_text(consumer.value("name", "")));
  return kOk;
}

int print_line(const Options& options) {
  return print_answer(client::get(daemon_url(options), "/v1/line"), options, format_line);
}

int print_footprints(const Options& options) {
  return print_answer(client::get(daemon_url(options), "/v1/footprints"), options, format_footprints);
}

int forget_footprint(const Options& options) {
  const auto answer = client::del(daemon_url(options), "/v1/footprints/" + url_encoded(options.consumer));
  if (!answer) return print_failure(answer.failure());
  fmt::print("forgotten what was learned about {}: its declared values apply again\n", options.consumer);
  return kOk;
}

int cancel_ticket(const Options& options) {
  const auto answer = client::del(daemon_url(options), fmt::format("/v1/line/{}", options.ticket));
  if (!answer || options.json) return print_answer(answer, options, nullptr);
  fmt::print("ticket {} is cancelled\n", options.ticket);
  return kOk;
}

int print_explanation(const Options& options) {
  const std::string url = daemon_url(options);
  if (!options.consumer.empty()) {
    const std::string priority = options.priority.empty() ? "" : "&priority=" + options.priority;
    return print_answer(
        client::get(url, "/v1/explain/next?consumer=" + url_encoded(options.consumer) + priority), options,
        format_explanation);
  }
  return print_answer(client::get(url, fmt::format("/v1/tickets/{}/explanation", options.ticket)), options,
                      format_explanation);
}

int change_residency(const Options& options, const std::string& verb) {
  // CONSUMER or CONSUMER/AI-MODEL. The name of a consumer has no slash; that of an AI model may have one.
  const std::size_t slash = std::min(options.consumer.find('/'), options.consumer.size());
  std::string path = "/v1/consumers/" + url_encoded(options.consumer.substr(0, slash)) + "/" + verb;
  if (slash < options.consumer.size()) path += "?ai_model=" + url_encoded(options.consumer.substr(slash + 1));
  return print_answer(client::post(daemon_url(options), path, Json::object()), options,
                      format_residency_change);
}

int print_events(const Options& options) {
  const std::string path = options.follow ? "/v1/events" : "/v1/events?follow=false";
  const auto ended =
      client::follow_events(daemon_url(options), path, "", [&](const client::ServerSentEvent& event) {
        fmt::print("{}\n", sanitize_text(options.json ? format_event_json(event) : format_event(event)));
        std::fflush(stdout);
        return true;
      });
  return ended ? kOk : print_failure(ended.failure());
}

}  // namespace mgpu::cli
