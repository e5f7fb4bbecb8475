// Infinity: embeddings; its AI models live as long as its process.
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::uint32_t parse_job_count(const json& known) {
  double total = 0;
  for (const json& entry : member_or_null(known, "data")) {
    const json& stats = member_or_null(entry, "stats");
    total += static_cast<double>(number_or_zero(stats, "queue_absolute") +
                                 number_or_zero(stats, "results_pending"));
  }
  return count_from_number(total);
}

std::vector<AiModel> parse_ai_models(const json& known) {
  std::vector<AiModel> all;
  for (const json& entry : member_or_null(known, "data")) all.push_back({string_or_empty(entry, "id"), true});
  return all;
}

class Infinity final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Result<std::uint32_t>> count_active_requests() override {
    return get_parsed("/models", parse_job_count);
  }
  asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override {
    return get_parsed("/models", parse_ai_models);
  }
};

}  // namespace

std::unique_ptr<Service> make_infinity(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Infinity>(std::move(address), config);
}

}  // namespace mgpu::service
