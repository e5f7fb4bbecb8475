// vLLM: one AI model; sleep mode frees its memory except for contexts and CUDA graphs.
//
// Level 1 keeps the weights in host memory, level 2 drops them: then they must be read again after their
// memory is back and before the cache's is. /sleep aborts running requests unless told to wait. The routes
// exist only with VLLM_SERVER_DEV_MODE=1 and --enable-sleep-mode.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::uint32_t kParkSleepLevel = 1;

class Vllm final : public ServiceBase {
 public:
  Vllm(Address address, const config::ServiceConfig& config)
      : ServiceBase(std::move(address), config,
                    {.active_request_metrics = {"vllm:num_requests_running", "vllm:num_requests_waiting"}}) {}

  asio::awaitable<Result<void>> load(const std::string&, Duration limit) override { return wake_up(limit); }
  asio::awaitable<Result<void>> resume(const std::string&, Duration limit) override { return wake_up(limit); }
  asio::awaitable<Result<void>> unload(const std::string&, Duration limit) override {
    return sleep(config().sleep_level, limit);
  }
  asio::awaitable<Result<void>> park(const std::string&, Duration limit) override {
    return sleep(kParkSleepLevel, limit);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    const std::string path = "/v1/models";
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    const bool asleep = co_await is_asleep();
    const bool dropped = asleep && co_await has_dropped_weights();
    std::vector<AiModel> all;
    for (const json& entry : member_or_null(*answer, "data"))
      all.push_back(
          {.name = string_or_empty(entry, "id"), .resident = !asleep, .parked = asleep && !dropped});
    co_return all;
  }

  bool can_unload() const override { return true; }
  bool can_park() const override { return true; }

 private:
  // Without sleep mode there is no such route, and vLLM never sleeps.
  asio::awaitable<bool> is_asleep() {
    const std::string path = "/is_sleeping";
    const auto answer = co_await get_json(path);
    co_return answer&& member_or_null(*answer, "is_sleeping") == true;
  }

  AsyncResult sleep(std::uint32_t level, Duration limit) {
    Request request{"POST", "/sleep?mode=wait&level=" + std::to_string(level), ""};
    std::string what = "putting vLLM to sleep";
    auto result = co_await require_success(what, std::move(request), ErrorCode::service_down, limit);
    if (!result && result.error().code == ErrorCode::not_found)
      co_return fail(
          ErrorCode::not_supported,
          "this vLLM has no sleep mode: start it with VLLM_SERVER_DEV_MODE=1 and --enable-sleep-mode");
    co_return result;
  }

  AsyncResult wake_up(Duration limit) {
    const bool asleep = co_await is_asleep();
    if (!asleep) co_return Result<void>{};
    const bool dropped = co_await has_dropped_weights();
    const std::string all_tags, weights_tag = "?tags=weights", cache_tag = "?tags=kv_cache";
    if (!dropped) co_return co_await wake_tags(all_tags, limit);
    const auto weights = co_await wake_tags(weights_tag, limit);
    if (!weights) co_return weights;
    std::string what = "reading the weights again", path = "/collective_rpc";
    json body{{"method", "reload_weights"}};
    const auto read = co_await require_success(what, path, body, ErrorCode::load_failed, limit);
    if (!read) co_return read;
    co_return co_await wake_tags(cache_tag, limit);
  }

  AsyncResult wake_tags(std::string tags, Duration limit) {
    return require_success("waking vLLM up", {"POST", "/wake_up" + tags, ""}, ErrorCode::load_failed, limit);
  }

  // Read from vLLM, so that it is right after a restart of the daemon. Where vLLM does not say, the weights
  // are read again, which is slow but never wrong.
  asio::awaitable<bool> has_dropped_weights() {
    const std::string path = "/metrics";
    const auto answer = co_await get(path);
    if (!answer) co_return true;
    co_return sum_metric(answer->body, "vllm:engine_sleep_state", "\"weights_offloaded\"") < 1;
  }
};

}  // namespace

std::unique_ptr<Service> make_vllm(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Vllm>(std::move(address), config);
}

}  // namespace mgpu::service
