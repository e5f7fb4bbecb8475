// text-generation-webui: one AI model at a time, "None" where it holds none. A load unloads what was there.
#include "service/single_slot_service.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::string parse_ai_model_name(const json& info) {
  std::string name = string_or_empty(info, "model_name");
  return name == "None" ? "" : name;
}

class TextGenerationWebui final : public SingleSlotService {
 public:
  using SingleSlotService::SingleSlotService;

 protected:
  asio::awaitable<Result<std::string>> get_loaded_name() override {
    return get_parsed("/v1/internal/model/info", parse_ai_model_name);
  }

  AsyncResult load_slot(std::string ai_model, Duration limit) override {
    std::string what = "loading " + ai_model, path = "/v1/internal/model/load";
    json body{{"model_name", ai_model}};
    co_return co_await require_success(what, path, body, ErrorCode::load_failed, limit);
  }

  AsyncResult unload_slot(Duration limit) override {
    std::string what = "unloading", path = "/v1/internal/model/unload";
    json body = json::object();
    co_return co_await require_success(what, path, body, ErrorCode::service_down, limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_text_generation_webui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<TextGenerationWebui>(std::move(address), config);
}

}  // namespace mgpu::service
