// Triton with --model-control-mode=explicit: AI models are loaded and unloaded one by one. An unload is
// answered before it is done; the repository index tells when it is.
#include <algorithm>

#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Triton final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    return require_success("loading " + ai_model, "/v2/repository/models/" + encode_path(ai_model) + "/load",
                           json::object(), ErrorCode::load_failed, limit);
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    std::string what = "unloading " + ai_model,
                path = "/v2/repository/models/" + encode_path(ai_model) + "/unload";
    json body{{"parameters", {{"unload_dependents", true}}}};
    const auto result = co_await require_success(what, path, body, ErrorCode::service_down, limit);
    if (!result) co_return result;
    std::function<Result<bool>(const AiModel*)> is_unloaded = [](const AiModel* entry) {
      return entry == nullptr || !entry->resident;
    };
    co_return co_await poll_entry_until(ai_model, limit, is_unloaded);
  }

  // Each version of an AI model is an entry of its own; one that is being unloaded still holds memory.
  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    std::string path = "/v2/repository/index";
    const auto answer = co_await post(path, json::object(), kQueryLimit);
    if (!answer) co_return std::unexpected(answer.error());
    const auto entries = json::parse(answer->body, nullptr, false);
    if (answer->status != 200 || !entries.is_array())
      co_return std::unexpected(response_error("POST " + path, *answer, ErrorCode::service_down));
    std::vector<AiModel> all;
    std::vector<std::string> resident;
    for (const json& entry : entries) {
      const auto name = string_or_empty(entry, "name"), state = string_or_empty(entry, "state");
      if (std::ranges::find(all, name, &AiModel::name) == all.end()) all.push_back({name});
      if (state == "READY" || state == "UNLOADING") resident.push_back(name);
    }
    mark_resident(all, resident);
    co_return all;
  }

  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_triton(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Triton>(std::move(address), config);
}

}  // namespace mgpu::service
