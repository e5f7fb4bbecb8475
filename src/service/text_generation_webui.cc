// text-generation-webui: one AI model at a time, "None" where it holds none. A load unloads what was there.
#include "service/one_slot.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::string name_in(const json& info) {
  std::string name = text_at(info, "model_name");
  return name == "None" ? "" : name;
}

class TextGenerationWebui final : public OneSlot {
 public:
  using OneSlot::OneSlot;

 protected:
  asio::awaitable<Result<std::string>> held() override { return told("/v1/internal/model/info", name_in); }

  Done put(std::string ai_model, Duration limit) override {
    std::string what = "loading " + ai_model, path = "/v1/internal/model/load";
    json body{{"model_name", ai_model}};
    co_return co_await demand(what, path, body, ErrorCode::load_failed, limit);
  }

  Done clear(Duration limit) override {
    std::string what = "unloading", path = "/v1/internal/model/unload";
    json body = json::object();
    co_return co_await demand(what, path, body, ErrorCode::service_down, limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_text_generation_webui(Address address, const config::ServiceConfig& config) {
  return std::make_unique<TextGenerationWebui>(std::move(address), config);
}

}  // namespace mgpu::service
