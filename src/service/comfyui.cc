// ComfyUI: loads within its first workflow; /free makes it forget everything.
//
// /free and /prompt are answered at once: the worker frees between workflows, and computes after the answer.
// So the queue says whether it is at work, and torch's pool whether anything is loaded.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class ComfyUi final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    std::string what = "freeing ComfyUI's memory", path = "/free";
    json body{{"unload_models", true}, {"free_memory", true}};
    co_return co_await demand(what, path, body, Code::service_down, limit);
  }

  asio::awaitable<Result<std::uint32_t>> at_work() override {
    std::string path = "/prompt";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    co_return static_cast<std::uint32_t>(number_at(member(*answer, "exec_info"), "queue_remaining"));
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    std::string path = "/system_stats";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    Bytes pool{};
    for (const json& device : member(*answer, "devices"))
      pool += Bytes{number_at(device, "torch_vram_total") - number_at(device, "torch_vram_free")};
    std::vector<AiModel> all;
    all.push_back({.resident = pool > kPoolAtRest, .bytes = pool});
    co_return all;
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_comfyui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ComfyUi>(std::move(address), config);
}

}  // namespace mgpu::service
