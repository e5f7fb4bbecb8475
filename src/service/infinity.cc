// Infinity: embeddings; its AI models are loaded as long as its process runs.
#include "service/service_base.h"

namespace mgpu::service {

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

}  // namespace

std::unique_ptr<Service> make_infinity(Address address, const config::ServiceConfig& config) {
  const StateQueries queries{.active_requests = {"/models", parse_job_count},
                             .ai_models = {"/models", parse_ai_models}};
  return std::make_unique<ServiceBase>(std::move(address), config, queries);
}

}  // namespace mgpu::service
