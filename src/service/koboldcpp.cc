// KoboldCpp: its admin routes restart the worker with another configuration file, or with none.
//
// It imitates Ollama, ComfyUI and A1111, so only /api/extra/version identifies it. The admin route answers
// 200 in any case; `success` in the answer tells. The port is closed while the worker restarts.
#include "service/single_slot_service.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t parse_job_count(const json& perf) {
  const bool idle = number_or_zero(perf, "idle") != 0;
  return count_from_number((idle ? 0 : 1) + static_cast<double>(number_or_zero(perf, "queue")));
}

std::string parse_ai_model_name(const json& answer) {
  std::string name = string_or_empty(answer, "result");
  return name == "inactive" ? "" : name;
}

class KoboldCpp final : public SingleSlotService {
 public:
  KoboldCpp(Address address, const config::ServiceConfig& config)
      : SingleSlotService(std::move(address), config,
                          {.active_requests = {"/api/extra/perf", parse_job_count}}) {}

  asio::awaitable<Health> check_health() override {
    const auto answer = co_await get_json(config().health);
    if (!answer) co_return Health{Health::State::down, answer.error().detail};
    if (string_or_empty(*answer, "result") != "KoboldCpp")
      co_return Health{Health::State::down,
                       config().health + " does not identify KoboldCpp: another server listens there"};
    co_return Health{Health::State::up, ""};
  }

 protected:
  asio::awaitable<Result<std::string>> get_loaded_name() override {
    return get_parsed("/api/v1/model", parse_ai_model_name);
  }

  // KoboldCpp reports the AI model's name, while `ai_model` names the configuration file that loads it.
  bool is_same_ai_model(const std::string&, const std::string&) const override { return true; }

  AsyncResult load_slot(std::string ai_model, Duration limit) override {
    return reload_config(std::move(ai_model), true, limit);
  }
  AsyncResult unload_slot(Duration limit) override { return reload_config("unload_model", false, limit); }

 private:
  AsyncResult reload_config(std::string file, bool expects_loaded, Duration limit) {
    std::string path = "/api/admin/reload_config";
    json body{{"filename", file}};
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const ErrorCode fallback_code = expects_loaded ? ErrorCode::load_failed : ErrorCode::service_down;
    const auto reply = json::parse(answer->body, nullptr, false);
    if (answer->status != 200)
      co_return std::unexpected(response_error("reload_config", *answer, fallback_code));
    if (member_or_null(reply, "success") != true)
      co_return fail(fallback_code,
                     "KoboldCpp refused " + file +
                         ": start it with --admin and --admindir, the folder of that file, and set "
                         "api_key_env or api_key_file to its --adminpassword");
    std::function<asio::awaitable<Result<bool>>()> condition =
        [this, expects_loaded]() -> asio::awaitable<Result<bool>> {
      const auto loaded = co_await get_loaded_name();
      co_return loaded && loaded->empty() != expects_loaded;  // unknown while the port is closed
    };
    std::string timeout_detail = "KoboldCpp did not restart with " + file;
    co_return co_await poll_until(std::move(condition), std::move(timeout_detail), limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_koboldcpp(Address address, const config::ServiceConfig& config) {
  return std::make_unique<KoboldCpp>(std::move(address), config);
}

}  // namespace mgpu::service
