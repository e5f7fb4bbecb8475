// AUTOMATIC1111, Forge, SD.Next: unloading moves the checkpoint to host memory (Forge: drops it), and a load
// brings it back. Forge's reload does nothing; its next job loads by itself.
//
// unload-checkpoint takes no lock and breaks a picture that is being made, so the progress is read first.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t parse_job_count(const json& progress) {
  return number_or_zero(member_or_null(progress, "state"), "job_count") != 0 ? 1 : 0;  // -1: in preparation
}

std::vector<AiModel> parse_ai_models(const json& memory) {
  const json& reserved = member_or_null(member_or_null(memory, "cuda"), "reserved");
  if (!reserved.is_object()) return {};
  const Bytes pool{number_or_zero(reserved, "current")};
  return {{.resident = pool > kIdleTorchPool, .bytes = pool}};
}

class A1111 final : public ServiceBase {
 public:
  A1111(Address address, const config::ServiceConfig& config)
      : ServiceBase(std::move(address), config,
                    {.active_requests = {"/sdapi/v1/progress?skip_current_image=true", parse_job_count},
                     .ai_models = {"/sdapi/v1/memory", parse_ai_models}}) {}

  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override {
    return require_success("loading the checkpoint", "/sdapi/v1/reload-checkpoint", json::object(),
                           ErrorCode::load_failed, limit);
  }

  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    const auto busy = co_await count_active_requests();
    if (!busy) co_return std::unexpected(busy.error());
    if (*busy > 0) co_return fail(ErrorCode::busy, "it makes a picture, which unloading now would break");
    std::string what = "unloading the checkpoint", path = "/sdapi/v1/unload-checkpoint";
    json body = json::object();
    co_return co_await require_success(what, path, body, ErrorCode::service_down, limit);
  }

  bool loads_lazily() const override { return true; }
  bool can_unload() const override { return true; }
};

}  // namespace

std::unique_ptr<Service> make_a1111(Address address, const config::ServiceConfig& config) {
  return std::make_unique<A1111>(std::move(address), config);
}

}  // namespace mgpu::service
