// A service that holds one of many AI models at a time: the configuration's key `ai_model` names it. Without
// that key nothing is unloaded, since the name to load again would be unknown.
#pragma once

#include <optional>
#include <string>

#include "service/service_base.h"

namespace mgpu::service {

class SingleSlotService : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override;
  bool can_unload() const override { return !config().ai_model.empty(); }

 protected:
  // The name of the loaded AI model; empty: none is loaded.
  virtual boost::asio::awaitable<Result<std::string>> get_loaded_name() = 0;
  // Whether the application's name for an AI model and the configured one mean the same.
  virtual bool is_same_ai_model(const std::string& reported, const std::string& ai_model) const {
    return reported == ai_model;
  }
  virtual AsyncResult load_slot(std::string ai_model, Duration limit) = 0;
  virtual AsyncResult unload_slot(Duration limit) = 0;

  // An unload_slot() that is one POST with an empty object.
  AsyncResult unload_by_post(std::string path, Duration limit) {
    return require_success("unloading", std::move(path), nlohmann::json::object(), ErrorCode::service_down,
                           limit);
  }
};

}  // namespace mgpu::service
