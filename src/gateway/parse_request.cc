#include "gateway/parse_request.h"

#include <utility>

#include "gateway/decode_body.h"

namespace mgpu::gateway {

std::optional<Route> find_route(const RequestHead& head) {
  return find_route(head.method, head.target, header(head.headers, "Accept"));
}

Result<void> parse_request(RequestContext& request) {
  const RequestHead& head = request.caller.head;
  request.route = *find_route(head);
  if (is_answered_here(request.route.kind)) return {};
  Result<QueueOptions> options = parse_queue_options(head.headers);
  if (!options) return std::unexpected(options.error());
  request.queue_options = std::move(*options);
  return decode_body(request.caller);
}

}  // namespace mgpu::gateway
