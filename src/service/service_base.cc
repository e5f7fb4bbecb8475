#include "service/service_base.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "base/sanitize.h"
#include "service/out_of_memory.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

ServiceBase::ServiceBase(Address address, const config::ServiceConfig& config, StateQueries queries)
    : address_(std::move(address)), config_(config), queries_(std::move(queries)) {
  if (config_.health.empty()) config_.health = config::service_traits(config_.type).health;
}

asio::awaitable<Health> ServiceBase::check_health() { co_return co_await probe_health(config_.health, 200); }

asio::awaitable<Result<void>> ServiceBase::load(const std::string&, Duration) { co_return Result<void>{}; }

asio::awaitable<Result<void>> ServiceBase::unload(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service frees its device memory only when its process ends");
}

asio::awaitable<Result<void>> ServiceBase::park(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service can't park");
}

asio::awaitable<Result<void>> ServiceBase::resume(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service can't resume a parked AI model");
}

asio::awaitable<Result<std::uint32_t>> ServiceBase::count_active_requests() {
  const auto& [path, parse] = queries_.active_requests;
  if (parse != nullptr) co_return co_await get_parsed(path, parse);
  if (queries_.active_request_metrics.empty()) co_return 0U;
  std::string metrics_path = "/metrics";
  const auto answer = co_await get(std::move(metrics_path));
  if (!answer) co_return std::unexpected(answer.error());
  double total = 0;
  for (const std::string& metric : queries_.active_request_metrics) total += sum_metric(answer->body, metric);
  co_return count_from_number(total);
}

asio::awaitable<Result<std::vector<AiModel>>> ServiceBase::list_ai_models() {
  const auto& [path, parse] = queries_.ai_models;
  if (parse == nullptr) co_return std::vector<AiModel>{};
  co_return co_await get_parsed(path, parse);
}

asio::awaitable<Result<Response>> ServiceBase::get(std::string path) {
  const Request request{.path = std::move(path)};
  co_return co_await fetch(address_, request, kQueryLimit);
}

asio::awaitable<Result<json>> ServiceBase::get_json(std::string path) {
  const std::string what = "GET " + path;
  const auto answer = co_await get(path);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status != 200)
    co_return std::unexpected(response_error(what, *answer, ErrorCode::service_down));
  auto parsed = json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) co_return fail(ErrorCode::service_down, what + ": the answer is not JSON");
  co_return parsed;
}

asio::awaitable<Result<Response>> ServiceBase::send(Request request, Duration limit) {
  co_return co_await fetch(address_, request, limit);
}

asio::awaitable<Result<Response>> ServiceBase::post(std::string path, json body, Duration limit) {
  const Request request{"POST", std::move(path), body.dump()};
  co_return co_await fetch(address_, request, limit);
}

ServiceBase::AsyncResult ServiceBase::require_success(std::string action, Request request,
                                                      ErrorCode fallback_code, Duration limit) {
  const auto answer = co_await fetch(address_, request, limit);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status / 100 != 2) co_return std::unexpected(response_error(action, *answer, fallback_code));
  co_return Result<void>{};
}

ServiceBase::AsyncResult ServiceBase::require_success(std::string action, std::string path, json body,
                                                      ErrorCode fallback_code, Duration limit) {
  Request request{"POST", std::move(path), body.dump()};
  co_return co_await require_success(std::move(action), std::move(request), fallback_code, limit);
}

asio::awaitable<Health> ServiceBase::probe_health(std::string path, int status) {
  const auto answer = co_await get(path);
  if (!answer) co_return Health{Health::State::down, answer.error().detail};
  if (answer->status == status) co_return Health{Health::State::up, ""};
  auto reason = response_error("GET " + path, *answer, ErrorCode::service_down).detail;
  co_return Health{answer->status == 503 ? Health::State::loading : Health::State::down, std::move(reason)};
}

ServiceBase::AsyncResult ServiceBase::poll_until(std::function<asio::awaitable<Result<bool>>()> condition,
                                                 std::string timeout_detail, Duration limit) {
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor);
  for (auto pause = std::chrono::milliseconds(20);;
       pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
    const auto holds = co_await condition();
    if (!holds) co_return std::unexpected(holds.error());
    if (*holds) co_return Result<void>{};
    if (std::chrono::steady_clock::now() >= deadline)
      co_return fail(ErrorCode::service_down, fmt::format("{}, within {}", timeout_detail, to_string(limit)));
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

ServiceBase::AsyncResult ServiceBase::poll_entry_until(
    std::string ai_model, Duration limit, std::function<Result<bool>(const AiModel*)> condition) {
  std::function<asio::awaitable<Result<bool>>()> poll = [&]() -> asio::awaitable<Result<bool>> {
    const auto listed = co_await list_ai_models();
    if (!listed) co_return std::unexpected(listed.error());
    const auto found = std::ranges::find(*listed, ai_model, &AiModel::name);
    co_return condition(found == listed->end() ? nullptr : &*found);
  };
  std::string timeout_detail = ai_model + ": the service accepted the request, but did not finish it";
  co_return co_await poll_until(std::move(poll), std::move(timeout_detail), limit);
}

Error ServiceBase::response_error(const std::string& action, const Response& response,
                                  ErrorCode fallback_code) const {
  constexpr std::size_t kMaxQuoted = 300;
  auto code = response.status == 404 ? ErrorCode::not_found : fallback_code;
  if (response.status == 401 || response.status == 403) code = ErrorCode::unauthorized;
  if (log_says_out_of_memory(config_.type, response.body)) code = ErrorCode::out_of_memory;
  return {code, fmt::format("{} was answered with {}: {}", action, response.status,
                            sanitize_lines(response.body.substr(0, kMaxQuoted)))};
}

void mark_resident(std::vector<AiModel>& all, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto at = std::ranges::find(all, name, &AiModel::name);
    if (at == all.end()) at = all.insert(at, {.name = name});
    at->resident = true;
  }
}

std::string string_or_empty(const json& object, const char* key) {
  const json& value = member_or_null(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

std::int64_t number_or_zero(const json& object, const char* key) {
  const json& value = member_or_null(object, key);
  if (!value.is_number()) return 0;
  const double number = value.get<double>();
  const auto size = bytes_from_number(std::abs(number));
  if (!size) return 0;
  return number < 0 ? -size->count : size->count;
}

std::uint32_t count_from_number(double number) {
  constexpr double kMaxCount = std::numeric_limits<std::uint32_t>::max();
  return number >= 0 && number <= kMaxCount ? static_cast<std::uint32_t>(number) : 0;
}

const json& member_or_null(const json& object, const char* key) {
  static const json null_value;
  if (!object.is_object()) return null_value;
  const auto at = object.find(key);
  return at != object.end() ? *at : null_value;
}

namespace {

std::string percent_encode(std::string_view name, std::string_view safe_chars) {
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || safe_chars.find(c) != safe_chars.npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string encode_path(std::string_view name) { return percent_encode(name, "-._~/:@"); }
std::string encode_query(std::string_view name) { return percent_encode(name, "-._~"); }

double sum_metric(std::string_view text, std::string_view name, std::string_view label) {
  double sum = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto rest = line.substr(std::min(name.size(), line.size()));
    if (!line.starts_with(name) || rest.empty() || (rest[0] != '{' && rest[0] != ' ')) continue;
    if (line.find(label) == line.npos) continue;
    const auto value = line.substr(line.rfind(' ') + 1);
    double number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    sum += number;
  }
  return sum;
}

}  // namespace mgpu::service
