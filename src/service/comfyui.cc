// ComfyUI: loads within its first workflow; /free makes it forget everything.
//
// /free and /prompt are answered at once: the worker frees between workflows, and computes after the answer.
// So the queue says whether it is at work, and torch's pool whether anything is loaded.
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
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "freeing ComfyUI's memory", path = "/free";
    json body{{"unload_models", true}, {"free_memory", true}};
    co_return co_await require_success(what, path, body, ErrorCode::service_down, limit);
  }

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    return get_parsed("/prompt", parse_job_count);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    return get_parsed("/system_stats", parse_ai_models);
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_comfyui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ComfyUi>(std::move(address), config);
}

}  // namespace mgpu::service
