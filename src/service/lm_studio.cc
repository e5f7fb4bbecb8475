// LM Studio: many AI models, each loaded as instances with names of their own. A load of a loaded AI model
// makes a second instance, so the instances are listed first. The reported size is that of the file.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class LmStudio final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    const auto instances = co_await list_instances(ai_model);
    if (!instances) co_return std::unexpected(instances.error());
    if (!instances->empty()) co_return Result<void>{};
    std::string what = "loading " + ai_model, path = "/api/v1/models/load";
    json body{{"model", ai_model}};
    co_return co_await require_success(what, path, body, ErrorCode::load_failed, limit);
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    const auto instances = co_await list_instances(ai_model);
    if (!instances) co_return std::unexpected(instances.error());
    for (const std::string& instance : *instances) {
      std::string what = "unloading " + instance, path = "/api/v1/models/unload";
      json body{{"instance_id", instance}};
      const auto done = co_await require_success(what, path, body, ErrorCode::service_down, limit);
      if (!done) co_return done;
    }
    co_return Result<void>{};
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    const auto entries = co_await list_entries();
    if (!entries) co_return std::unexpected(entries.error());
    std::vector<AiModel> all;
    for (const json& entry : *entries) {
      const bool resident = !member_or_null(entry, "loaded_instances").empty();
      all.push_back({.name = string_or_empty(entry, "key"),
                     .resident = resident,
                     .file_bytes = Bytes{number_or_zero(entry, "size_bytes")}});
    }
    co_return all;
  }

  bool can_unload() const override { return true; }

 private:
  asio::awaitable<Result<json>> list_entries() {
    std::string path = "/api/v1/models";
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    if (!member_or_null(*answer, "models").is_array())
      co_return fail(ErrorCode::service_down, path + ": the answer has no list \"models\"");
    co_return member_or_null(*answer, "models");
  }

  asio::awaitable<Result<std::vector<std::string>>> list_instances(std::string ai_model) {
    const auto entries = co_await list_entries();
    if (!entries) co_return std::unexpected(entries.error());
    for (const json& entry : *entries) {
      if (string_or_empty(entry, "key") != ai_model) continue;
      std::vector<std::string> instances;
      for (const json& instance : member_or_null(entry, "loaded_instances"))
        instances.push_back(string_or_empty(instance, "id"));
      co_return instances;
    }
    co_return fail(ErrorCode::not_found, "LM Studio has no AI model \"" + ai_model + "\"");
  }
};

}  // namespace

std::unique_ptr<Service> make_lm_studio(Address address, const config::ServiceConfig& config) {
  return std::make_unique<LmStudio>(std::move(address), config);
}

}  // namespace mgpu::service
