// text-generation-webui: one AI model at a time, "None" without one. A load replaces what is loaded.
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
    json body{{"model_name", ai_model}};
    return require_success("loading " + ai_model, "/v1/internal/model/load", std::move(body),
                           ErrorCode::load_failed, limit);
  }

  AsyncResult unload_slot(Duration limit) override {
    return unload_by_post("/v1/internal/model/unload", limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_text_generation_webui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<TextGenerationWebui>(std::move(address), config);
}

}  // namespace mgpu::service
