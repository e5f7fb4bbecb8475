// What services have in common that hold one of many AI models at a time and are told which: the key
// `ai_model_index`. Without it they keep what they hold, since we would not know what to load again.
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
  // The name of what it holds; empty: nothing.
  virtual boost::asio::awaitable<Result<std::string>> get_loaded_name() = 0;
  // Whether the name that it gives is that of the AI model `ai_model_index`.
  virtual bool is_same_ai_model(const std::string& reported, const std::string& ai_model) const {
    return reported == ai_model;
  }
  virtual AsyncResult load_slot(std::string ai_model, Duration limit) = 0;
  virtual AsyncResult unload_slot(Duration limit) = 0;
};

}  // namespace mgpu::service
