// Ollama: a request without prompt loads, keep_alive 0 unloads, /api/ps says what is resident.
#include <algorithm>

#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Ollama final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Health> healthy() override { co_return co_await health_at("/api/version", 200); }

  asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override {
    // We decide when it goes, not Ollama's own timer.
    const std::string body = json{{"model", ai_model}, {"keep_alive", -1}, {"stream", false}}.dump();
    auto answer = co_await post("/api/generate", body, limit);
    const bool embeds_only =
        answer && answer->status == 400 && answer->body.find("generate") != std::string::npos;
    if (embeds_only) answer = co_await post("/api/embed", body, limit);
    co_return ended("loading " + ai_model, answer, Code::load_failed);
  }

  asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override {
    const std::string body = json{{"model", ai_model}, {"keep_alive", 0}, {"stream", false}}.dump();
    const auto answer = co_await post("/api/generate", body, limit);
    const auto asked = ended("unloading " + ai_model, answer, Code::service_down);
    if (!asked) co_return asked;
    const auto name = canonical_name(config::ServiceType::ollama, ai_model);
    std::function<Result<bool>(const AiModel*)> gone = [](const AiModel* now) {
      return now == nullptr || !now->resident;
    };
    co_return co_await wait_listed(name, limit, gone);
  }

  asio::awaitable<Result<bool>> busy() override { co_return false; }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    const auto installed = co_await ask_json("/api/tags");
    if (!installed) co_return std::unexpected(installed.error());
    const auto running = co_await ask_json("/api/ps");
    if (!running) co_return std::unexpected(running.error());
    std::vector<AiModel> all;
    try {
      for (const auto& entry : installed->value("models", json::array())) all.push_back({name_of(entry)});
      for (const auto& entry : running->value("models", json::array())) {
        const auto name = name_of(entry);
        auto at = std::ranges::find(all, name, &AiModel::name);
        if (at == all.end()) at = all.insert(at, {name});
        at->resident = true;
        at->bytes = Bytes{entry.value("size_vram", std::int64_t{0})};
      }
    } catch (const json::exception& rubbish) {
      co_return fail(Code::service_down,
                     std::string("/api/tags or /api/ps answered rubbish: ") + rubbish.what());
    }
    co_return all;
  }

  bool can_unload() const override { return true; }

 private:
  static std::string name_of(const json& entry) {
    return canonical_name(config::ServiceType::ollama, text_at(entry, "name"));
  }
  static Result<void> ended(const std::string& what, const Result<Answer>& answer, Code otherwise) {
    if (!answer) return std::unexpected(answer.error());
    if (answer->status != 200) return std::unexpected(refused(what, *answer, otherwise));
    return {};
  }
};

}  // namespace

std::unique_ptr<Service> make_ollama(Address address, const config::ServiceConfig&) {
  return std::make_unique<Ollama>(std::move(address));
}

}  // namespace mgpu::service
