// InvokeAI: the jobs of its queue load; its cache, which is host and device memory at once, can be emptied.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

// A request is answered when it is queued, and carried out later.
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
  InvokeAi(Address address, const config::ServiceConfig& config)
      : ServiceBase(std::move(address), config,
                    {.active_requests = {"/api/v1/queue/default/status", parse_job_count},
                     .ai_models = {"/api/v2/models/stats", parse_ai_models}}) {}

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    return require_success("emptying InvokeAI's cache", "/api/v2/models/empty_model_cache", json::object(),
                           ErrorCode::service_down, limit);
  }

  bool loads_lazily() const override { return true; }
  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_invokeai(Address address, const config::ServiceConfig& config) {
  return std::make_unique<InvokeAi>(std::move(address), config);
}

}  // namespace mgpu::service
