// InvokeAI: loads within its queue's work; its cache (host and device memory at once) can be emptied.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class InvokeAi final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "emptying InvokeAI's cache", path = "/api/v2/models/empty_model_cache";
    json body = json::object();
    co_return co_await demand(what, path, body, Code::service_down, limit);
  }

  // Its queue is answered for at once and worked off afterwards.
  asio::awaitable<Result<std::uint32_t>> at_work() override {
    std::string path = "/api/v1/queue/default/status";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    const json& queue = member(*answer, "queue");
    co_return static_cast<std::uint32_t>(number_at(queue, "pending") + number_at(queue, "in_progress"));
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    std::string path = "/api/v2/models/stats";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    std::vector<AiModel> all;
    all.push_back({.resident = number_at(*answer, "in_cache") > 0});  // null before the first load
    co_return all;
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_invokeai(Address address, const config::ServiceConfig& config) {
  return std::make_unique<InvokeAi>(std::move(address), config);
}

}  // namespace mgpu::service
