// Ollama: a request without prompt loads, keep_alive 0 unloads, /api/ps lists what is resident.
#include <algorithm>

#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Ollama final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    // -1: the daemon decides when it is unloaded, not Ollama's own timer.
    const json body{{"model", ai_model}, {"keep_alive", -1}, {"stream", false}};
    const std::string path = "/api/generate", embed_path = "/api/embed";
    auto answer = co_await post(path, body, limit);
    const bool embeds_only =
        answer && answer->status == 400 && answer->body.find("generate") != std::string::npos;
    if (embeds_only) answer = co_await post(embed_path, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200)
      co_return std::unexpected(response_error("loading " + ai_model, *answer, ErrorCode::load_failed));
    co_return Result<void>{};
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    const json body{{"model", ai_model}, {"keep_alive", 0}, {"stream", false}};
    const std::string what = "unloading " + ai_model;
    const std::string path = "/api/generate";
    const auto result = co_await require_success(what, path, body, ErrorCode::service_down, limit);
    if (!result) co_return result;  // 404 also for one that is loaded, if its files were deleted
    const auto name = canonical_name(config::ServiceType::ollama, ai_model);
    std::function<Result<bool>(const AiModel*)> is_unloaded = [](const AiModel* entry) {
      return entry == nullptr || !entry->resident;
    };
    co_return co_await poll_entry_until(name, limit, is_unloaded);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    const std::string tags_path = "/api/tags";
    const auto installed = co_await get_json(tags_path);
    if (!installed) co_return std::unexpected(installed.error());
    const std::string ps_path = "/api/ps";
    const auto running = co_await get_json(ps_path);
    if (!running) co_return std::unexpected(running.error());
    std::vector<AiModel> all;
    try {
      for (const auto& entry : installed->value("models", json::array()))
        all.push_back({.name = entry_name(entry), .file_bytes = Bytes{number_or_zero(entry, "size")}});
      for (const auto& entry : running->value("models", json::array())) {
        const auto name = entry_name(entry);
        auto at = std::ranges::find(all, name, &AiModel::name);
        if (at == all.end()) at = all.insert(at, {name});
        at->resident = true;
        at->bytes = Bytes{number_or_zero(entry, "size_vram")};
      }
    } catch (const json::exception& error) {
      co_return fail(ErrorCode::service_down,
                     std::string("/api/tags or /api/ps: unexpected answer: ") + error.what());
    }
    co_return all;
  }

  bool can_unload() const override { return true; }

 private:
  static std::string entry_name(const json& entry) {
    return canonical_name(config::ServiceType::ollama, string_or_empty(entry, "name"));
  }
};

}  // namespace

std::unique_ptr<Service> make_ollama(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Ollama>(std::move(address), config);
}

}  // namespace mgpu::service
