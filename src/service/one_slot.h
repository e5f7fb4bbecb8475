// What services have in common that hold one of many AI models at a time and are told which: the key
// `ai_model`. Without it they keep what they hold, since we would not know what to load again.
#pragma once

#include <optional>
#include <string>

#include "service/application.h"

namespace mgpu::service {

class OneSlot : public Application {
 public:
  using Application::Application;

  boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<std::vector<AiModel>>> list() override;
  bool can_unload() const override { return !config().ai_model.empty(); }

 protected:
  // The name of what it holds; empty: nothing.
  virtual boost::asio::awaitable<Result<std::string>> held() = 0;
  // Whether the name that it gives is that of the AI model `ai_model`.
  virtual bool is_called(const std::string& held, const std::string& ai_model) const {
    return held == ai_model;
  }
  virtual Done put(std::string ai_model, Duration limit) = 0;
  virtual Done clear(Duration limit) = 0;
};

}  // namespace mgpu::service
