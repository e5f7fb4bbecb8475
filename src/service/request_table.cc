#include "service/request_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/ascii.h"
#include "config/services.h"

namespace mgpu::service {
namespace {

using config::ServiceConfig;
using config::ServiceType;

constexpr std::string_view kModelPlaceholder = "{model}";
constexpr std::string_view kComfyuiPrefix = "/api";  // all its routes exist below it as well

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
    if (is_escape) {
      decoded += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      decoded += plus_is_blank && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find_first_of("?#")); }
std::string_view query_of(std::string_view target) {
  const std::size_t begin = target.find('?');
  return begin == target.npos ? std::string_view{} : target.substr(begin + 1);
}

// --- matching a rule ---

// `model`: what {model} stands for. A pattern has at most one {model} and one further * that is not at its
// end, so this takes time in proportion to the path.
bool matches(std::string_view pattern, std::string_view path, std::string& model) {
  if (pattern.empty()) return path.empty();
  if (pattern == "*") return true;
  const bool is_model = pattern.starts_with(kModelPlaceholder);
  if (!is_model && pattern.front() != '*')
    return !path.empty() && pattern.front() == path.front() &&
           matches(pattern.substr(1), path.substr(1), model);
  const std::string_view rest = pattern.substr(is_model ? kModelPlaceholder.size() : 1);
  for (std::size_t length = is_model ? 1 : 0; length <= path.size(); ++length) {
    if (!matches(rest, path.substr(length), model)) continue;
    if (is_model) model = path.substr(0, length);
    return true;
  }
  return false;
}

bool lists_method(std::string_view methods, std::string_view method) {
  if (methods == "*") return true;
  while (!methods.empty()) {
    const std::size_t end = std::min(methods.find('|'), methods.size());
    if (methods.substr(0, end) == method) return true;
    methods.remove_prefix(std::min(end + 1, methods.size()));
  }
  return false;
}

// --- the readings of a path ---

// Without empty segments and a slash at the end. `resolve_dots`: "." and ".." are applied.
std::string joined_segments(std::string_view path, bool resolve_dots) {
  std::vector<std::string_view> segments;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    begin = end + 1;
    if (segment.empty() || (resolve_dots && segment == ".")) continue;
    if (!resolve_dots || segment != "..")
      segments.push_back(segment);
    else if (!segments.empty())
      segments.pop_back();
  }
  std::string joined;
  for (const std::string_view segment : segments) joined += "/" + std::string(segment);
  return joined.empty() ? "/" : joined;
}

// The different ways in which a service might read the path; the plain one, which is nearly always the only
// one, is the first.
std::vector<std::string> readings_of(std::string_view path) {
  const bool is_plain =
      path.find_first_of("%\\;") == path.npos && path.find("/.") == path.npos && path.find("//") == path.npos;
  if (is_plain) return {joined_segments(path, false)};
  std::vector<std::string> readings;
  const auto add = [&](std::string reading) {
    if (std::ranges::find(readings, reading) == readings.end()) readings.push_back(std::move(reading));
  };
  const std::string once = percent_decode(path, false);
  const std::string twice = percent_decode(once, false);
  std::string slashes = twice;
  std::ranges::replace(slashes, '\\', '/');
  for (const std::string_view text :
       {std::string_view(once), path, std::string_view(twice), std::string_view(slashes)}) {
    add(joined_segments(text, false));
    add(joined_segments(text, true));
    add(joined_segments(text.substr(0, text.find_first_of(std::string_view(";\0", 2))), true));
  }
  return readings;
}

// --- the configured additions ---

// An entry of turn_for: "POST", "/render*" or "GET /render*".
struct TurnEntry {
  std::string_view method{};  // empty: any
  std::string_view path = "*";
};
TurnEntry read_turn_entry(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return {.method = text};
  return {.method = trimmed(text.substr(0, slash)), .path = text.substr(slash)};
}

// `path` has no slash at its end (joined_segments).
bool matches_configured(std::string_view pattern, std::string_view path) {
  if (pattern.size() > 1 && pattern.ends_with('/')) pattern.remove_suffix(1);
  if (!pattern.ends_with('*')) return pattern == path;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

// What the consumer's keys say: of free_paths and turn_for the longer pattern counts, turn_for if both are
// equally long.
std::optional<RequestMeaning> configured_meaning(const ServiceConfig& service, std::string_view method,
                                                 std::string_view path) {
  std::optional<RequestMeaning> meaning;
  std::size_t longest = 0;
  for (const std::string& pattern : service.free_paths) {
    if (pattern.size() < longest || !matches_configured(pattern, path)) continue;
    longest = pattern.size();
    meaning = RequestMeaning::looks;
  }
  for (const std::string& text : service.turn_for) {
    const TurnEntry entry = read_turn_entry(text);
    const bool is_method = entry.method.empty() || equals_ignore_case(entry.method, method) ||
                           (method == kWebSocketMethod && equals_ignore_case(entry.method, "GET"));
    if (!is_method || entry.path.size() < longest || !matches_configured(entry.path, path)) continue;
    longest = entry.path.size();
    meaning = RequestMeaning::computes;
  }
  return meaning;
}

// The requests with which the daemon itself loads and unloads a generic service. If both are the same, only
// their bodies differ, and neither is recognised.
Steering configured_steering(const ServiceConfig& service, std::string_view method, std::string_view path) {
  const auto is_request = [&](const std::optional<config::RequestConfig>& request) {
    return request && request->method == method && path_of(request->path) == path;
  };
  const bool loads = is_request(service.load), unloads = is_request(service.unload);
  if (loads == unloads) return Steering::none;
  return loads ? Steering::generic_load : Steering::generic_unload;
}

// --- one reading ---

RequestMatch match_reading(const ServiceConfig& service, std::string_view method, std::string_view path) {
  if (const auto meaning = configured_meaning(service, method, path)) return {.meaning = *meaning};
  if (const Steering steering = configured_steering(service, method, path); steering != Steering::none)
    return {.meaning = RequestMeaning::steers_memory, .steering = steering};
  const bool has_own_turns = service.type == ServiceType::generic && !service.turn_for.empty();
  if (has_own_turns) return {.meaning = RequestMeaning::looks};
  for (const RequestRule& rule : request_rules(service.type)) {
    std::string ai_model;
    if (lists_method(rule.methods, method) && matches(rule.path, path, ai_model))
      return {.meaning = rule.meaning, .steering = rule.steering, .ai_model = std::move(ai_model)};
  }
  return {};
}

RequestMatch match_readings(const ServiceConfig& service, std::string_view method, std::string_view target) {
  const std::vector<std::string> readings = readings_of(path_of(target));
  std::optional<RequestMatch> common;
  for (std::string_view path : readings) {
    if (service.type == ServiceType::comfyui && path.starts_with("/api/"))
      path.remove_prefix(kComfyuiPrefix.size());
    RequestMatch match = match_reading(service, method, path);
    if (!common)
      common = std::move(match);
    else if (common->meaning != match.meaning || common->steering != match.steering)
      return {};
  }
  // KoboldCpp compares the end of the whole target, with its query.
  const bool has_path_in_query = service.type == ServiceType::koboldcpp &&
                                 percent_decode(query_of(target), false).find('/') != std::string::npos;
  if (has_path_in_query && method != "GET") return {};
  return *common;
}

}  // namespace

std::string_view to_string(RequestMeaning meaning) {
  constexpr std::array<std::string_view, 8> kNames{"computes",      "uses_loaded",   "steers_memory",
                                                   "looks",         "looks_if_warm", "cancels",
                                                   "manages_files", "refused_head"};
  return kNames[static_cast<std::size_t>(meaning)];
}

RequestMatch classify(const ServiceConfig& service, std::string_view method, std::string_view target) {
  std::string upper(method);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c; });
  if (upper == "OPTIONS") return {.meaning = RequestMeaning::looks};
  const bool is_head = upper == "HEAD";
  RequestMatch match = match_readings(service, is_head ? "GET" : upper, target);
  if (is_head && !is_free(match.meaning)) return {.meaning = RequestMeaning::refused_head};
  return match;
}

std::string target_of_look(const ServiceConfig& service, std::string_view method, std::string_view target) {
  const bool is_router = service.type == ServiceType::llama_server && service.router;
  if (!is_router || (method != "POST" && query_parameter(target, "model").empty()))
    return std::string(target);
  std::string sent = std::string(path_of(target)) + "?autoload=false";  // of several values the first counts
  if (!query_of(target).empty()) sent += "&" + std::string(query_of(target));
  return sent;
}

std::string query_parameter(std::string_view target, std::string_view name) {
  std::string_view rest = query_of(target);
  while (!rest.empty()) {
    const std::string_view field = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(field.size() + 1, rest.size()));
    const std::size_t equals_at = std::min(field.find('='), field.size());
    if (percent_decode(field.substr(0, equals_at), true) != name) continue;
    return percent_decode(field.substr(std::min(equals_at + 1, field.size())), true);
  }
  return {};
}

bool starts_without_memory(const ServiceConfig& service) {
  return config::service_traits(service.type).starts_without_memory && config::has_several_ai_models(service);
}

}  // namespace mgpu::service
