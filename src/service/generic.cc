// Generic: a health path and the requests that the configuration gives.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

class Generic final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Health> check_health() override {
    return probe_health(config().health, config().health_status);
  }
  // Without a configured load request the application loads by itself, at start or with the first request.
  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override {
    if (!config().load) co_return Result<void>{};
    co_return co_await send_configured("load", config().load, ErrorCode::load_failed, limit);
  }
  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    return send_configured("unload", config().unload, ErrorCode::service_down, limit);
  }
  asio::awaitable<Result<void>> park(const std::string&, Duration limit) override {
    return send_configured("park", config().park, ErrorCode::service_down, limit);
  }
  asio::awaitable<Result<void>> resume(const std::string&, Duration limit) override {
    return send_configured("resume", config().resume, ErrorCode::load_failed, limit);
  }
  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    const auto& busy = config().busy;
    if (!busy) co_return 0U;
    const auto answer = co_await get_json(busy->path);
    if (!answer) co_return std::unexpected(answer.error());
    try {
      const auto& value = answer->at(nlohmann::json::json_pointer(busy->pointer));
      const bool idle = (value.is_string() ? value.get<std::string>() : value.dump()) == busy->idle;
      co_return idle ? 0U : 1U;
    } catch (const nlohmann::json::exception&) {
      co_return fail(ErrorCode::service_down, busy->path + ": the answer has nothing at " + busy->pointer);
    }
  }
  bool can_unload() const override { return config().unload.has_value(); }
  bool can_park() const override { return config().park.has_value() && config().resume.has_value(); }

 private:
  AsyncResult send_configured(const char* key, const std::optional<config::RequestConfig>& configured,
                              ErrorCode fallback_code, Duration limit) {
    if (!configured)
      co_return fail(ErrorCode::not_supported,
                     std::string("the configuration has no \"") + key + "\" request for this service");
    Request request{configured->method, configured->path, configured->body};
    std::string what = request.method + " " + request.path;
    co_return co_await require_success(std::move(what), std::move(request), fallback_code, limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_generic(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Generic>(std::move(address), config);
}

}  // namespace mgpu::service
