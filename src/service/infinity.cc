// Infinity: embeddings; its AI models live as long as its process.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

class Infinity final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<std::uint32_t>> at_work() override {
    std::string path = "/models";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    std::int64_t total = 0;
    for (const json& entry : member(*answer, "data")) {
      const json& stats = member(entry, "stats");
      total += number_at(stats, "queue_absolute") + number_at(stats, "results_pending");
    }
    co_return static_cast<std::uint32_t>(total);
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override {
    std::string path = "/models";
    const auto answer = co_await ask_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    std::vector<AiModel> all;
    for (const json& entry : member(*answer, "data")) all.push_back({text_at(entry, "id"), true});
    co_return all;
  }
};

}  // namespace

std::unique_ptr<Service> make_infinity(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Infinity>(std::move(address), config);
}

}  // namespace mgpu::service
