// llama-server: one AI model from start to end, or router mode with a child per AI model. The router loads
// whatever /slots?model= names, so it is never asked for slots.
#include <set>

#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class LlamaServer final : public Application {
 public:
  LlamaServer(Address address, const config::ServiceConfig& config)
      : Application(std::move(address)), health_(config.health), router_(config.router) {}

  asio::awaitable<Health> healthy() override { co_return co_await health_at(health_, 200); }

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    if (!router_) co_return Result<void>{};  // loads at start; healthy() tells when it is done
    const std::string body = json{{"model", ai_model}}.dump();
    const auto answer = co_await post("/models/load", body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const bool already = answer->status == 400 && answer->body.find("already") != std::string::npos;
    if (answer->status != 200 && !already) {
      co_return std::unexpected(refused("loading " + ai_model, *answer, Code::load_failed));
    }
    // 200 only says that a child was started.
    std::function<Result<bool>(const AiModel*)> done = [this, ai_model](const AiModel* now) -> Result<bool> {
      if (now == nullptr) return fail(Code::not_found, "the router no longer lists " + ai_model);
      if (failed_.contains(ai_model)) {
        return fail(Code::load_failed, "the router could not load " + ai_model + "; its log says why");
      }
      return now->resident;
    };
    co_return co_await wait_listed(ai_model, limit, done);
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    if (!router_)
      co_return fail(Code::not_supported, "a llama-server with one AI model unloads only by ending");
    const std::string body = json{{"model", ai_model}}.dump();
    const auto answer = co_await post("/models/unload", body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const bool already = answer->status == 400 && answer->body.find("not running") != std::string::npos;
    if (answer->status != 200 && !already) {
      co_return std::unexpected(refused("unloading " + ai_model, *answer, Code::service_down));
    }
    std::function<Result<bool>(const AiModel*)> gone = [this, ai_model](const AiModel* now) {
      return now == nullptr || unloaded_.contains(ai_model);
    };
    co_return co_await wait_listed(ai_model, limit, gone);
  }

  asio::awaitable<Result<bool>> busy() override {
    if (router_) co_return false;
    const auto slots = co_await ask_json("/slots");
    if (!slots) co_return false;  // --no-slots
    for (const auto& slot : *slots) {
      const auto at = slot.find("is_processing");
      if (slot.is_object() && at != slot.end() && *at == true) co_return true;
    }
    co_return false;
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    std::vector<AiModel> all;
    if (!router_) co_return all;
    const auto answer = co_await ask_json("/models");
    if (!answer) co_return std::unexpected(answer.error());
    failed_.clear();
    unloaded_.clear();
    try {
      for (const auto& entry : answer->value("data", json::array())) {
        const auto name = text_at(entry, "id");
        const auto status = entry.value("status", json::object());
        const auto value = text_at(status, "value");
        if (value == "unloaded") unloaded_.insert(name);
        if (value == "unloaded" && status.value("failed", false)) failed_.insert(name);
        all.push_back({name, value == "loaded"});
      }
    } catch (const json::exception& rubbish) {
      co_return fail(Code::service_down, std::string("/models answered rubbish: ") + rubbish.what());
    }
    co_return all;
  }

  bool can_unload() const override { return router_; }

 private:
  std::string health_;
  bool router_;
  std::set<std::string> failed_;    // as the last list said
  std::set<std::string> unloaded_;  // likewise
};

}  // namespace

std::unique_ptr<Service> make_llama_server(Address address, const config::ServiceConfig& config) {
  return std::make_unique<LlamaServer>(std::move(address), config);
}

}  // namespace mgpu::service
