// ComfyUI: loads within its first workflow; /free makes it forget everything.
//
// /free and /prompt are answered at once: the worker frees between workflows, and computes after the answer.
// So the queue says whether it is at work, and torch's pool whether anything is loaded.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t jobs_in(const json& queue) {
  return as_count(static_cast<double>(number_at(member(queue, "exec_info"), "queue_remaining")));
}

std::vector<AiModel> held_in(const json& system_stats) {
  Bytes pool{};
  for (const json& device : member(system_stats, "devices"))
    pool += Bytes{number_at(device, "torch_vram_total") - number_at(device, "torch_vram_free")};
  return {{.resident = pool > kPoolAtRest, .bytes = pool}};
}

class ComfyUi final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "freeing ComfyUI's memory", path = "/free";
    json body{{"unload_models", true}, {"free_memory", true}};
    co_return co_await demand(what, path, body, ErrorCode::service_down, limit);
  }

  asio::awaitable<Result<std::uint32_t>> at_work() override { return told("/prompt", jobs_in); }

  asio::awaitable<Result<std::vector<AiModel>>> list() override { return told("/system_stats", held_in); }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_comfyui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ComfyUi>(std::move(address), config);
}

}  // namespace mgpu::service
