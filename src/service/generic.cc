// Generic: a health path, and whatever requests the configuration gives.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

class Generic final : public Application {
 public:
  Generic(Address address, const config::ServiceConfig& config)
      : Application(std::move(address)), config_(config) {}

  asio::awaitable<Health> healthy() override {
    co_return co_await health_at(config_.health, config_.health_status);
  }
  // Without a load request it loads by itself, at start or within the first request.
  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override {
    if (!config_.load) co_return Result<void>{};
    co_return co_await send(config_.load, Code::load_failed, limit);
  }
  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    co_return co_await send(config_.unload, Code::service_down, limit);
  }
  asio::awaitable<Result<void>> park(const std::string&, Duration limit) override {
    co_return co_await send(config_.park, Code::service_down, limit);
  }
  asio::awaitable<Result<void>> resume(const std::string&, Duration limit) override {
    co_return co_await send(config_.resume, Code::load_failed, limit);
  }
  asio::awaitable<Result<bool>> busy() override {
    if (!config_.busy) co_return false;
    const auto answer = co_await ask_json(config_.busy->path);
    if (!answer) co_return std::unexpected(answer.error());
    try {
      const auto& value = answer->at(nlohmann::json::json_pointer(config_.busy->pointer));
      co_return (value.is_string() ? value.get<std::string>() : value.dump()) != config_.busy->idle;
    } catch (const nlohmann::json::exception&) {
      co_return fail(Code::service_down, config_.busy->path + ": nothing at " + config_.busy->pointer);
    }
  }
  asio::awaitable<Result<std::vector<AiModel>>> list() override { co_return std::vector<AiModel>{}; }
  bool can_unload() const override { return config_.unload.has_value(); }
  bool can_park() const override { return config_.park.has_value() && config_.resume.has_value(); }

 private:
  asio::awaitable<Result<void>> send(const std::optional<config::RequestConfig>& configured, Code otherwise,
                                     Duration limit) {
    if (!configured) co_return fail(Code::not_supported, "no such request is configured for this service");
    const Request request{configured->method, configured->path, configured->body};
    const auto answer = co_await fetch(address(), request, limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status / 100 != 2) {
      co_return std::unexpected(refused(request.method + " " + request.path, *answer, otherwise));
    }
    co_return Result<void>{};
  }

  config::ServiceConfig config_;
};

}  // namespace

std::unique_ptr<Service> make_generic(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Generic>(std::move(address), config);
}

}  // namespace mgpu::service
