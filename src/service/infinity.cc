// Infinity: embeddings; its AI models live as long as its process.
#include "service/application.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t jobs_in(const json& known) {
  double total = 0;
  for (const json& entry : member(known, "data")) {
    const json& stats = member(entry, "stats");
    total += static_cast<double>(number_at(stats, "queue_absolute") + number_at(stats, "results_pending"));
  }
  return as_count(total);
}

std::vector<AiModel> held_in(const json& known) {
  std::vector<AiModel> all;
  for (const json& entry : member(known, "data")) all.push_back({text_at(entry, "id"), true});
  return all;
}

class Infinity final : public Application {
 public:
  using Application::Application;

  asio::awaitable<Result<std::uint32_t>> at_work() override { return told("/models", jobs_in); }
  asio::awaitable<Result<std::vector<AiModel>>> list() override { return told("/models", held_in); }
};

}  // namespace

std::unique_ptr<Service> make_infinity(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Infinity>(std::move(address), config);
}

}  // namespace mgpu::service
