// InvokeAI: loads within its queue's work; its cache (host and device memory at once) can be emptied.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

// Its queue is answered for at once and worked off afterwards.
std::uint32_t parse_job_count(const json& status) {
  const json& queue = member_or_null(status, "queue");
  return count_from_number(
      static_cast<double>(number_or_zero(queue, "pending") + number_or_zero(queue, "in_progress")));
}

std::vector<AiModel> parse_ai_models(const json& stats) {
  return {{.resident = number_or_zero(stats, "in_cache") > 0}};  // null before the first load
}

class InvokeAi final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "emptying InvokeAI's cache", path = "/api/v2/models/empty_model_cache";
    json body = json::object();
    co_return co_await require_success(what, path, body, ErrorCode::service_down, limit);
  }

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    return get_parsed("/api/v1/queue/default/status", parse_job_count);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    return get_parsed("/api/v2/models/stats", parse_ai_models);
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_invokeai(Address address, const config::ServiceConfig& config) {
  return std::make_unique<InvokeAi>(std::move(address), config);
}

}  // namespace mgpu::service
