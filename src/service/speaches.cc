// Speaches (once faster-whisper-server): AI models that come and go one by one.
//
// An unload of an AI model in use is refused with 409, but Speaches forgets the AI model all the same: the
// next unload is answered with 404, while the memory stays until the time to live ends. So a 404 after a 409
// is an error. DELETE /v1/models/{id} must never be used: it deletes the files.
#include <set>

#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Speaches final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    Request request{"POST", "/api/ps/" + encode_path(ai_model), ""};
    const auto answer = co_await send(std::move(request), limit);
    if (!answer) co_return std::unexpected(answer.error());
    const bool already_loaded = answer->status == 409;
    if (answer->status / 100 != 2 && !already_loaded)
      co_return std::unexpected(response_error("loading " + ai_model, *answer, ErrorCode::load_failed));
    lingering_ai_models_.erase(ai_model);
    co_return Result<void>{};
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    Request request{"DELETE", "/api/ps/" + encode_path(ai_model), ""};
    const auto answer = co_await send(std::move(request), limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status == 409) lingering_ai_models_.insert(ai_model);
    const bool memory_lingers = lingering_ai_models_.contains(ai_model) && answer->status != 200;
    if (memory_lingers)
      co_return fail(ErrorCode::service_down,
                     ai_model +
                         " was in use when it was to be unloaded: Speaches no longer lists it, but keeps its "
                         "memory until its time to live ends");
    if (answer->status / 100 != 2 && answer->status != 404)
      co_return std::unexpected(response_error("unloading " + ai_model, *answer, ErrorCode::service_down));
    co_return Result<void>{};
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    std::string installed = "/v1/models", running = "/api/ps";
    const auto known = co_await get_json(installed);
    if (!known) co_return std::unexpected(known.error());
    const auto loaded = co_await get_json(running);
    if (!loaded) co_return std::unexpected(loaded.error());
    std::vector<AiModel> all;
    for (const json& entry : member_or_null(*known, "data")) all.push_back({string_or_empty(entry, "id")});
    std::vector<std::string> names;
    for (const json& name : member_or_null(*loaded, "models"))
      if (name.is_string()) names.push_back(name);
    mark_resident(all, names);
    co_return all;
  }

  bool can_unload() const override { return true; }

 private:
  std::set<std::string> lingering_ai_models_;  // no longer listed, but their memory is not freed
};

}  // namespace

std::unique_ptr<Service> make_speaches(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Speaches>(std::move(address), config);
}

}  // namespace mgpu::service
