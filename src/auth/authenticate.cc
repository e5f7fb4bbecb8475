#include "auth/authenticate.h"

#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "http/endpoint.h"

namespace mgpu::auth {
namespace {

constexpr std::string_view kBearerPrefix = "bearer ";

}  // namespace

Result<Principal> authenticate(const http::RequestHead& head, std::string address) {
  Principal principal{.is_local = http::is_loopback_address(address),
                      .user = std::string(http::header(head.headers, "X-Mgpu-User"))};
  principal.address = std::move(address);
  if (principal.user.size() > kMaxUserLength)
    return fail(ErrorCode::invalid_request, "X-Mgpu-User: is longer than " + std::to_string(kMaxUserLength));
  const std::string_view authorization = http::header(head.headers, "Authorization");
  if (starts_with_ignore_case(authorization, kBearerPrefix))
    principal.api_key = authorization.substr(kBearerPrefix.size());
  return principal;
}

}  // namespace mgpu::auth
