// Ollama: a request without prompt loads, enable_keepalive 0 unloads, /api/ps says what is resident.
#include <algorithm>

#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Ollama final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    // We decide when it goes, not Ollama's own timer.
    const json body{{"model", ai_model}, {"keep_alive", -1}, {"stream", false}};
    const std::string path = "/api/generate", instead = "/api/embed";
    auto answer = co_await post(path, body, limit);
    const bool embeds_only =
        answer && answer->status == 400 && answer->body.find("generate") != std::string::npos;
    if (embeds_only) answer = co_await post(instead, body, limit);
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status != 200)
      co_return std::unexpected(refused("loading " + ai_model, *answer, ErrorCode::load_failed));
    co_return Result<void>{};
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    const json body{{"model", ai_model}, {"keep_alive", 0}, {"stream", false}};
    const std::string what = "unloading " + ai_model;
    const std::string path = "/api/generate";
    const auto asked = co_await demand(what, path, body, ErrorCode::service_down, limit);
    if (!asked) co_return asked;
    const auto name = canonical_name(config::ServiceType::ollama, ai_model);
    std::function<Result<bool>(const AiModel*)> gone = [](const AiModel* now) {
      return now == nullptr || !now->resident;
    };
    co_return co_await wait_listed(name, limit, gone);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    const std::string all_there_are = "/api/tags";
    const auto installed = co_await ask_json(all_there_are);
    if (!installed) co_return std::unexpected(installed.error());
    const std::string loaded_ones = "/api/ps";
    const auto running = co_await ask_json(loaded_ones);
    if (!running) co_return std::unexpected(running.error());
    std::vector<AiModel> all;
    try {
      for (const auto& entry : installed->value("models", json::array())) all.push_back({name_of(entry)});
      for (const auto& entry : running->value("models", json::array())) {
        const auto name = name_of(entry);
        auto at = std::ranges::find(all, name, &AiModel::name);
        if (at == all.end()) at = all.insert(at, {name});
        at->resident = true;
        at->bytes = Bytes{number_at(entry, "size_vram")};
      }
    } catch (const json::exception& rubbish) {
      co_return fail(ErrorCode::service_down,
                     std::string("/api/tags or /api/ps answered rubbish: ") + rubbish.what());
    }
    co_return all;
  }

  bool can_unload() const override { return true; }

 private:
  static std::string name_of(const json& entry) {
    return canonical_name(config::ServiceType::ollama, text_at(entry, "name"));
  }
};

}  // namespace

std::unique_ptr<Service> make_ollama(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Ollama>(std::move(address), config);
}

}  // namespace mgpu::service
