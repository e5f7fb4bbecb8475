// Text Embeddings Inference: one AI model, which lives as long as its process.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

std::vector<AiModel> parse_ai_models(const nlohmann::json& info) {
  return {{string_or_empty(info, "model_id"), true}};
}

class Tei final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    std::string path = "/metrics";
    const auto answer = co_await get(path);
    if (!answer) co_return std::unexpected(answer.error());
    co_return count_from_number(sum_metric(answer->body, "te_queue_size"));
  }

  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    return get_parsed("/info", parse_ai_models);
  }
};

}  // namespace

std::unique_ptr<Service> make_tei(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Tei>(std::move(address), config);
}

}  // namespace mgpu::service
