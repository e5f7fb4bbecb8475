// Text Embeddings Inference: one AI model, which is loaded as long as its process runs.
#include "service/service_base.h"

namespace mgpu::service {

namespace {

std::vector<AiModel> parse_ai_models(const nlohmann::json& info) {
  return {{string_or_empty(info, "model_id"), true}};
}

}  // namespace

std::unique_ptr<Service> make_tei(Address address, const config::ServiceConfig& config) {
  const StateQueries queries{.active_request_metrics = {"te_queue_size"},
                             .ai_models = {"/info", parse_ai_models}};
  return std::make_unique<ServiceBase>(std::move(address), config, queries);
}

}  // namespace mgpu::service
