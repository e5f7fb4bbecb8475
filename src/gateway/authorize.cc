#include "gateway/authorize.h"

#include <fmt/format.h>

namespace mgpu::gateway {

Result<void> authorize(RequestContext& request) {
  const Caller& caller = request.caller;
  request.queue_options.requested_by = fmt::format("{} {} from {}", caller.head.method,
                                                   path_without_query(caller.head.target), caller.address);
  return {};
}

}  // namespace mgpu::gateway
