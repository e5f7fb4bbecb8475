#include "service/application.h"

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

Application::Application(Address address, const config::ServiceConfig& config)
    : address_(std::move(address)), config_(config) {
  if (config_.health.empty()) config_.health = config::service_traits(config_.type).health;
}

asio::awaitable<Health> Application::healthy() { co_return co_await health_at(config_.health, 200); }

asio::awaitable<Result<void>> Application::load(const std::string&, Duration) { co_return Result<void>{}; }

asio::awaitable<Result<void>> Application::unload(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service gives its memory back only by ending");
}

asio::awaitable<Result<void>> Application::park(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service can't park");
}

asio::awaitable<Result<void>> Application::resume(const std::string&, Duration) {
  co_return fail(ErrorCode::not_supported, "this service can't resume what was parked");
}

asio::awaitable<Result<std::uint32_t>> Application::at_work() { co_return 0U; }

asio::awaitable<Result<std::vector<AiModel>>> Application::list() { co_return std::vector<AiModel>{}; }

asio::awaitable<Result<Answer>> Application::ask(std::string path) {
  const Request request{.path = std::move(path)};
  co_return co_await fetch(address_, request, kAskLimit);
}

asio::awaitable<Result<json>> Application::ask_json(std::string path) {
  const std::string what = "GET " + path;
  const auto answer = co_await ask(path);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status != 200) co_return std::unexpected(refused(what, *answer, ErrorCode::service_down));
  auto parsed = json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) co_return fail(ErrorCode::service_down, what + ": the answer is not JSON");
  co_return parsed;
}

asio::awaitable<Result<Answer>> Application::send(Request request, Duration limit) {
  co_return co_await fetch(address_, request, limit);
}

asio::awaitable<Result<Answer>> Application::post(std::string path, json body, Duration limit) {
  const Request request{"POST", std::move(path), body.dump()};
  co_return co_await fetch(address_, request, limit);
}

Application::Done Application::demand(std::string what, Request request, ErrorCode otherwise,
                                      Duration limit) {
  const auto answer = co_await fetch(address_, request, limit);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status / 100 != 2) co_return std::unexpected(refused(what, *answer, otherwise));
  co_return Result<void>{};
}

Application::Done Application::demand(std::string what, std::string path, json body, ErrorCode otherwise,
                                      Duration limit) {
  Request request{"POST", std::move(path), body.dump()};
  co_return co_await demand(std::move(what), std::move(request), otherwise, limit);
}

asio::awaitable<Health> Application::health_at(std::string path, int status) {
  const auto answer = co_await ask(path);
  if (!answer) co_return Health{Health::State::down, answer.error().detail};
  if (answer->status == status) co_return Health{Health::State::up, ""};
  auto why = refused("GET " + path, *answer, ErrorCode::service_down).detail;
  co_return Health{answer->status == 503 ? Health::State::loading : Health::State::down, std::move(why)};
}

Application::Done Application::wait_until(std::function<asio::awaitable<Result<bool>>()> is_so,
                                          std::string what, Duration limit) {
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor);
  for (auto pause = std::chrono::milliseconds(20);;
       pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
    const auto verdict = co_await is_so();
    if (!verdict) co_return std::unexpected(verdict.error());
    if (*verdict) co_return Result<void>{};
    if (std::chrono::steady_clock::now() >= deadline)
      co_return fail(ErrorCode::service_down, fmt::format("waited {} in vain: {}", to_string(limit), what));
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

Application::Done Application::wait_listed(std::string ai_model, Duration limit,
                                           std::function<Result<bool>(const AiModel*)> done) {
  std::function<asio::awaitable<Result<bool>>()> is_so = [&]() -> asio::awaitable<Result<bool>> {
    const auto listed = co_await list();
    if (!listed) co_return std::unexpected(listed.error());
    const auto found = std::ranges::find(*listed, ai_model, &AiModel::name);
    co_return done(found == listed->end() ? nullptr : &*found);
  };
  std::string what = ai_model + ": the service took the request, but has not finished it";
  co_return co_await wait_until(std::move(is_so), std::move(what), limit);
}

Error Application::refused(const std::string& what, const Answer& answer, ErrorCode otherwise) const {
  constexpr std::size_t kQuoted = 300;
  auto code = answer.status == 404 ? ErrorCode::not_found : otherwise;
  if (answer.status == 401 || answer.status == 403) code = ErrorCode::unauthorized;
  if (log_says_out_of_memory(config_.type, answer.body)) code = ErrorCode::out_of_memory;
  return {code, fmt::format("{} was answered with {}: {}", what, answer.status,
                            sanitize_lines(answer.body.substr(0, kQuoted)))};
}

void mark_resident(std::vector<AiModel>& all, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto at = std::ranges::find(all, name, &AiModel::name);
    if (at == all.end()) at = all.insert(at, {.name = name});
    at->resident = true;
  }
}

std::string text_at(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

std::int64_t number_at(const json& object, const char* key) {
  const json& value = member(object, key);
  if (!value.is_number()) return 0;
  const double number = value.get<double>();
  const auto size = bytes_from_number(std::abs(number));
  if (!size) return 0;
  return number < 0 ? -size->count : size->count;
}

std::uint32_t as_count(double number) {
  constexpr double kMost = std::numeric_limits<std::uint32_t>::max();
  return number >= 0 && number <= kMost ? static_cast<std::uint32_t>(number) : 0;
}

const json& member(const json& object, const char* key) {
  static const json nothing;
  if (!object.is_object()) return nothing;
  const auto at = object.find(key);
  return at != object.end() ? *at : nothing;
}

namespace {

std::string escaped(std::string_view name, std::string_view kept) {
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || kept.find(c) != kept.npos)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string in_path(std::string_view name) { return escaped(name, "-._~/:@"); }
std::string in_query(std::string_view name) { return escaped(name, "-._~"); }

double metric(std::string_view text, std::string_view name, std::string_view label) {
  double sum = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto after = line.substr(std::min(name.size(), line.size()));
    if (!line.starts_with(name) || after.empty() || (after[0] != '{' && after[0] != ' ')) continue;
    if (line.find(label) == line.npos) continue;
    const auto value = line.substr(line.rfind(' ') + 1);
    double number = 0;
    std::from_chars(value.data(), value.data() + value.size(), number);
    sum += number;
  }
  return sum;
}

}  // namespace mgpu::service
