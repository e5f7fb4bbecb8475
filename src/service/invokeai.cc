// InvokeAI: loads within its queue's work; its cache (host and device memory at once) can be emptied.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

// Its queue is answered for at once and worked off afterwards.
std::uint32_t jobs_in(const json& status) {
  const json& queue = member(status, "queue");
  return as_count(static_cast<double>(number_at(queue, "pending") + number_at(queue, "in_progress")));
}

std::vector<AiModel> held_in(const json& stats) {
  return {{.resident = number_at(stats, "in_cache") > 0}};  // null before the first load
}

class InvokeAi final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "emptying InvokeAI's cache", path = "/api/v2/models/empty_model_cache";
    json body = json::object();
    co_return co_await demand(what, path, body, ErrorCode::service_down, limit);
  }

  asio::awaitable<Result<std::uint32_t>> at_work() override {
    return told("/api/v1/queue/default/status", jobs_in);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    return told("/api/v2/models/stats", held_in);
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_invokeai(Address address, const config::ServiceConfig& config) {
  return std::make_unique<InvokeAi>(std::move(address), config);
}

}  // namespace mgpu::service
