// Text Embeddings Inference: one AI model, which lives as long as its process.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

std::vector<AiModel> held_in(const nlohmann::json& info) { return {{text_at(info, "model_id"), true}}; }

class Tei final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<std::uint32_t>> at_work() override {
    std::string path = "/metrics";
    const auto answer = co_await ask(path);
    if (!answer) co_return std::unexpected(answer.error());
    co_return as_count(metric(answer->body, "te_queue_size"));
  }

  asio::awaitable<Result<std::vector<AiModel>>> list() override { return told("/info", held_in); }
};

}  // namespace

std::unique_ptr<Service> make_tei(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Tei>(std::move(address), config);
}

}  // namespace mgpu::service
