// llama-server: one AI model as long as its process runs, or router mode with a child process per AI model.
//
// A query must not load: /slots wakes a server that sleeps (--sleep-idle-seconds), and the router loads the
// AI model that /slots?model= names. So /props is read first, and the router gets autoload=false.
#include <set>

#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class LlamaServer final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    if (!config().router) co_return Result<void>{};  // loads at start; check_health() tells when it is done
    const json body{{"model", ai_model}};
    const std::string path = "/models/load";
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const bool already_loaded = answer->status == 400 && answer->body.find("already") != std::string::npos;
    if (answer->status != 200 && !already_loaded) {
      co_return std::unexpected(response_error("loading " + ai_model, *answer, ErrorCode::load_failed));
    }
    if (already_loaded) co_await wake_if_asleep(ai_model);
    // 200 only means that a child process was started.
    std::function<Result<bool>(const AiModel*)> is_loaded = [this,
                                                             ai_model](const AiModel* entry) -> Result<bool> {
      if (entry == nullptr) return fail(ErrorCode::not_found, "the router no longer lists " + ai_model);
      if (failed_.contains(ai_model)) {
        return fail(ErrorCode::load_failed,
                    "the router could not load " + ai_model + "; see the router's log");
      }
      return entry->resident || sleeping_.contains(ai_model);
    };
    co_return co_await poll_entry_until(ai_model, limit, is_loaded);
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    if (!config().router)
      co_return fail(ErrorCode::not_supported,
                     "a llama-server without router mode frees its memory only when its process ends");
    const json body{{"model", ai_model}};
    const std::string path = "/models/unload";
    const auto answer = co_await post(path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    const bool already_unloaded =
        answer->status == 400 && answer->body.find("not running") != std::string::npos;
    if (answer->status != 200 && !already_unloaded) {
      co_return std::unexpected(response_error("unloading " + ai_model, *answer, ErrorCode::service_down));
    }
    std::function<Result<bool>(const AiModel*)> is_unloaded = [this, ai_model](const AiModel* entry) {
      return entry == nullptr || unloaded_.contains(ai_model);
    };
    co_return co_await poll_entry_until(ai_model, limit, is_unloaded);
  }

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    std::uint32_t total = 0;
    const auto known = co_await list_ai_models();
    if (!known) co_return std::unexpected(known.error());
    for (const AiModel& ai_model : *known) {
      if (!ai_model.resident) continue;
      std::string path = "/slots";
      if (config().router) path += "?model=" + encode_query(ai_model.name) + "&autoload=false";
      const auto slots = co_await get_json(path);
      if (!slots) continue;  // started with --no-slots, or unloaded meanwhile
      for (const auto& slot : *slots)
        if (member_or_null(slot, "is_processing") == true) ++total;
    }
    co_return total;
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    if (config().router) co_return co_await list_router_ai_models();
    const std::string path = "/props";
    const auto props = co_await get_json(path);
    const bool sleeps = props && member_or_null(*props, "is_sleeping") == true;
    std::vector<AiModel> all;
    all.push_back({.resident = !sleeps});
    co_return all;
  }

  bool loads_lazily() const override { return !config().router; }  // one that sleeps wakes at a request
  bool can_unload() const override { return config().router; }

 private:
  // A child that sleeps (--sleep-idle-seconds) loads when it is asked for its slots; started with --no-slots,
  // at its next request.
  asio::awaitable<void> wake_if_asleep(std::string ai_model) {
    (void)co_await list_router_ai_models();
    if (!sleeping_.contains(ai_model)) co_return;
    const Request request{.path = "/slots?model=" + encode_query(ai_model)};
    (void)co_await send(request, kQueryLimit);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_router_ai_models() {
    const std::string path = "/models";
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    const json& entries = member_or_null(*answer, "data");
    if (!entries.is_array())
      co_return fail(ErrorCode::service_down, "/models: the answer has no list \"data\"");
    failed_.clear();
    unloaded_.clear();
    sleeping_.clear();
    std::vector<AiModel> all;
    for (const json& entry : entries) {
      const auto name = string_or_empty(entry, "id");
      const json& status = member_or_null(entry, "status");
      const auto value = string_or_empty(status, "value");
      if (value == "unloaded") unloaded_.insert(name);
      if (value == "sleeping") sleeping_.insert(name);
      if (value == "unloaded" && member_or_null(status, "failed") == true) failed_.insert(name);
      all.push_back({.name = name,
                     .resident = value == "loaded",
                     .loading = value == "loading",
                     .file_bytes = Bytes{number_or_zero(member_or_null(entry, "meta"), "size")}});
    }
    co_return all;
  }

  std::set<std::string> failed_;    // in the last list
  std::set<std::string> unloaded_;  // in the last list
  std::set<std::string> sleeping_;  // in the last list; they hold only a CUDA context
};

}  // namespace

std::unique_ptr<Service> make_llama_server(Address address, const config::ServiceConfig& config) {
  return std::make_unique<LlamaServer>(std::move(address), config);
}

}  // namespace mgpu::service
