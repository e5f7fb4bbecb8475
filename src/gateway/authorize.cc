#include "gateway/authorize.h"

#include <fmt/format.h>

namespace mgpu::gateway {

Result<void> authorize(RequestContext& request) {
  const Caller& caller = request.caller;
  QueueOptions& options = request.queue_options;
  options.principal = caller.principal;
  options.requested_by = fmt::format("{} {} from {}", caller.head.method,
                                     path_without_query(caller.head.target), caller.principal.address);
  return {};
}

}  // namespace mgpu::gateway
