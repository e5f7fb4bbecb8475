// KoboldCpp: its admin routes restart the worker with another configuration, or with none.
//
// It imitates Ollama, ComfyUI and A1111, constants included, so it is known by /api/extra/version only. The
// admin route answers 200 whatever happens: `success` tells. The port drops while the worker is restarted.
#include "service/one_slot.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t jobs_in(const json& perf) {
  const bool idle = number_at(perf, "idle") != 0;
  return as_count((idle ? 0 : 1) + static_cast<double>(number_at(perf, "queue")));
}

std::string name_in(const json& answer) {
  std::string name = text_at(answer, "result");
  return name == "inactive" ? "" : name;
}

class KoboldCpp final : public OneSlot {
 public:
  using OneSlot::OneSlot;

  asio::awaitable<Health> healthy() override {
    const auto answer = co_await ask_json(config().health);
    if (!answer) co_return Health{Health::State::down, answer.error().detail};
    if (text_at(*answer, "result") != "KoboldCpp")
      co_return Health{Health::State::down, config().health + " says that this is not KoboldCpp"};
    co_return Health{Health::State::up, ""};
  }

  asio::awaitable<Result<std::uint32_t>> at_work() override { return told("/api/extra/perf", jobs_in); }

 protected:
  asio::awaitable<Result<std::string>> held() override { return told("/api/v1/model", name_in); }

  // It names the AI model, while we name the file of settings that loads it.
  bool is_called(const std::string&, const std::string&) const override { return true; }

  Done put(std::string ai_model, Duration limit) override {
    co_return co_await restart_with(std::move(ai_model), true, limit);
  }
  Done clear(Duration limit) override {
    const std::string nothing = "unload_model";
    co_return co_await restart_with(nothing, false, limit);
  }

 private:
  Done restart_with(std::string file, bool loaded_then, Duration limit) {
    std::string path = "/api/admin/reload_config";
    json body{{"filename", file}};
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const ErrorCode otherwise = loaded_then ? ErrorCode::load_failed : ErrorCode::service_down;
    const auto told = json::parse(answer->body, nullptr, false);
    if (answer->status != 200) co_return std::unexpected(refused("reload_config", *answer, otherwise));
    if (member(told, "success") != true)
      co_return fail(otherwise, "KoboldCpp did not take " + file +
                                    ": it wants --admin, --admindir with that file, and its admin password");
    std::function<asio::awaitable<Result<bool>>()> is_so = [this,
                                                            loaded_then]() -> asio::awaitable<Result<bool>> {
      const auto now = co_await held();
      co_return now && now->empty() != loaded_then;  // while the port is away nobody knows
    };
    std::string complaint = "KoboldCpp did not come back with " + file;
    co_return co_await wait_until(std::move(is_so), std::move(complaint), limit);
  }
};

}  // namespace

std::unique_ptr<Service> make_koboldcpp(Address address, const config::ServiceConfig& config) {
  return std::make_unique<KoboldCpp>(std::move(address), config);
}

}  // namespace mgpu::service
