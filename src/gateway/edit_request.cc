#include "gateway/edit_request.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "gateway/forwarding_rules.h"
#include "gateway/query_model.h"
#include "service/request_table.h"

namespace mgpu::gateway {
namespace {

void replace_model_name(RequestContext& request) {
  const std::optional<ModelFinder>& model = request.target.model;
  const std::string& name = model ? model->name() : request.target.query_model;
  if (name.empty()) return;
  std::vector<std::string> configured;
  const config::ConsumerSnapshot consumer = request.consumer();
  for (const auto& [known, footprint] : consumer->ai_models) configured.push_back(known);
  const std::string resident_model = request.gateway.engine_api.ai_model_of(request.target.resolved);
  const auto service_name = service_model_name(consumer->service.type, name, resident_model, configured);
  if (service_name && model)
    request.body.buffer().replace(model->value_range(), model->encode_name(*service_name));
  else if (service_name)
    request.route.target = with_model_in_query(request.route.target, *service_name);
}

// The connection to the service sets Host and answers Expect; X-Forwarded-For is rewritten.
bool is_replaced_header(std::string_view name) {
  return equals_ignore_case(name, "Host") || equals_ignore_case(name, "X-Forwarded-For") ||
         equals_ignore_case(name, "Expect") || is_mgpu_header(name);
}

std::string service_target(const RequestContext& request) {
  if (request.target.needs_turn) return request.route.target;
  return service::target_of_look(request.consumer()->service, request.caller.head.method,
                                 request.route.target);
}

RequestHead make_service_head(const RequestContext& request) {
  const RequestHead& client_head = request.caller.head;
  RequestHead service_head{
      .method = client_head.method, .target = service_target(request), .length = client_head.length};
  const BodyBuffer& body = request.body.buffer();
  if (service_head.length) *service_head.length = *service_head.length - body.original_size() + body.size();
  service_head.headers = forwarded_headers(client_head.headers, request.is_websocket_upgrade);
  std::erase_if(service_head.headers, [](const auto& entry) { return is_replaced_header(entry.first); });
  const std::string received = http::joined_header(client_head.headers, "X-Forwarded-For");
  service_head.headers.emplace_back("X-Forwarded-For",
                                    forwarded_for(received, request.caller.principal.address));
  return service_head;
}

}  // namespace

Result<void> edit_request(RequestContext& request) {
  replace_model_name(request);
  if (const auto& edit = request.target.keep_alive_edit)
    request.body.buffer().replace(edit->range, edit->replacement);
  request.service_head = make_service_head(request);
  return {};
}

}  // namespace mgpu::gateway
