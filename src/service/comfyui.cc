// ComfyUI: the first workflow loads; /free unloads everything.
//
// /free and /prompt are answered before they are carried out: the worker frees between workflows and computes
// after the answer. So the queue's length tells whether it is active, and torch's pool whether it is loaded.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t parse_job_count(const json& queue) {
  return count_from_number(
      static_cast<double>(number_or_zero(member_or_null(queue, "exec_info"), "queue_remaining")));
}

std::vector<AiModel> parse_ai_models(const json& system_stats) {
  Bytes pool{};
  for (const json& device : member_or_null(system_stats, "devices"))
    pool += Bytes{number_or_zero(device, "torch_vram_total") - number_or_zero(device, "torch_vram_free")};
  return {{.resident = pool > kIdleTorchPool, .bytes = pool}};
}

class ComfyUi final : public ServiceBase {
 public:
  ComfyUi(Address address, const config::ServiceConfig& config)
      : ServiceBase(std::move(address), config,
                    {.active_requests = {"/prompt", parse_job_count},
                     .ai_models = {"/system_stats", parse_ai_models}}) {}

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    json body{{"unload_models", true}, {"free_memory", true}};
    return require_success("freeing ComfyUI's memory", "/free", std::move(body), ErrorCode::service_down,
                           limit);
  }

  bool loads_lazily() const override { return true; }
  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_comfyui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ComfyUi>(std::move(address), config);
}

}  // namespace mgpu::service
