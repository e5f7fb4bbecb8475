#include "service/application.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

asio::awaitable<Result<void>> Application::park(const std::string&, Duration) {
  co_return fail(Code::not_supported, "this service can't park");
}

asio::awaitable<Result<void>> Application::resume(const std::string&, Duration) {
  co_return fail(Code::not_supported, "this service can't resume what was parked");
}

asio::awaitable<Result<Answer>> Application::ask(std::string path) {
  const Request request{.path = std::move(path)};
  co_return co_await fetch(address_, request, kAskLimit);
}

asio::awaitable<Result<json>> Application::ask_json(std::string path) {
  const std::string what = "GET " + path;
  const auto answer = co_await ask(path);
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status != 200) co_return std::unexpected(refused(what, *answer, Code::service_down));
  auto parsed = json::parse(answer->body, nullptr, false);
  if (parsed.is_discarded()) co_return fail(Code::service_down, what + ": the answer is not JSON");
  co_return parsed;
}

asio::awaitable<Result<Answer>> Application::post(std::string path, std::string body, Duration limit) {
  const Request request{"POST", std::move(path), std::move(body)};
  co_return co_await fetch(address_, request, limit);
}

asio::awaitable<Health> Application::health_at(std::string path, int status) {
  const auto answer = co_await ask(path);
  if (!answer) co_return Health{Health::State::down, answer.error().detail};
  if (answer->status == status) co_return Health{Health::State::up, ""};
  auto why = refused("GET " + path, *answer, Code::service_down).detail;
  co_return Health{answer->status == 503 ? Health::State::loading : Health::State::down, std::move(why)};
}

asio::awaitable<Result<void>> Application::wait_listed(std::string ai_model, Duration limit,
                                                       std::function<Result<bool>(const AiModel*)> done) {
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor);
  for (auto pause = std::chrono::milliseconds(20);;
       pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
    const auto listed = co_await list();
    if (!listed) co_return std::unexpected(listed.error());
    const auto found = std::ranges::find(*listed, ai_model, &AiModel::name);
    const auto verdict = done(found == listed->end() ? nullptr : &*found);
    if (!verdict) co_return std::unexpected(verdict.error());
    if (*verdict) co_return Result<void>{};
    if (std::chrono::steady_clock::now() >= deadline) {
      co_return fail(Code::service_down,
                     fmt::format("{}: the service took the request, but did not finish it within {}",
                                 ai_model, to_string(limit)));
    }
    timer.expires_after(pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

Error refused(const std::string& what, const Answer& answer, Code otherwise) {
  constexpr std::size_t kQuoted = 300;
  auto code = answer.status == 404 ? Code::not_found : otherwise;
  if (says_out_of_memory(answer.body)) code = Code::out_of_memory;
  return {code,
          fmt::format("{} was answered with {}: {}", what, answer.status, answer.body.substr(0, kQuoted))};
}

std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

}  // namespace mgpu::service
