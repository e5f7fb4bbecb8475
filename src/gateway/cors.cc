#include "gateway/cors.h"

#include <string_view>
#include <utility>

#include "base/ascii.h"

#include "auth/browser_guard.h"

namespace mgpu::gateway {
namespace {

// What pages may read beside the headers that every page may: the daemon's own, and what clients use to wait.
constexpr std::string_view kExposedHeaders =
    "Server-Timing, X-Mgpu-Ticket, X-Mgpu-Retried, Retry-After, X-Request-Id, Content-Disposition";
constexpr std::string_view kAllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
constexpr std::string_view kMaxAge = "7200";  // seconds; Chromium's upper bound

bool is_cors_response_header(std::string_view name) {
  constexpr std::string_view kPrefix = "Access-Control-";
  return name.size() > kPrefix.size() && equals_ignore_case(name.substr(0, kPrefix.size()), kPrefix);
}

// Caches must not give one origin's response to another.
void add_vary(Headers& headers) { headers.emplace_back("Vary", "Origin"); }

void replace_cors_headers(Headers& headers, const std::string& origin, bool is_allowed) {
  std::erase_if(headers, [](const auto& entry) { return is_cors_response_header(entry.first); });
  add_vary(headers);
  if (!is_allowed) return;
  headers.emplace_back("Access-Control-Allow-Origin", origin);
  headers.emplace_back("Access-Control-Expose-Headers", kExposedHeaders);
}

}  // namespace

bool is_preflight(const RequestHead& head) {
  return head.method == "OPTIONS" && !header(head.headers, "Origin").empty();
}

ResponseHead preflight_response(const std::vector<std::string>& allowed, const RequestHead& head) {
  const std::string origin(header(head.headers, "Origin"));
  ResponseHead response{.status = 403, .headers = {}, .length = 0};
  add_vary(response.headers);
  if (!auth::is_allowed_origin(allowed, origin)) return response;
  response.status = 204;
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Allow-Methods", kAllowedMethods);
  // Echoed: clients send headers of their own (X-Stainless-OS, ...), and "*" would not cover Authorization.
  const std::string wanted = http::joined_header(head.headers, "Access-Control-Request-Headers");
  if (!wanted.empty()) response.headers.emplace_back("Access-Control-Allow-Headers", wanted);
  if (header(head.headers, "Access-Control-Request-Private-Network") == "true")
    response.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  response.headers.emplace_back("Access-Control-Max-Age", kMaxAge);
  return response;
}

void add_cors_headers(const std::vector<std::string>& allowed, Caller& caller) {
  std::string origin(header(caller.head.headers, "Origin"));
  if (origin.empty()) return;
  const bool is_allowed = auth::is_allowed_origin(allowed, origin);
  caller.send_head = [send = std::move(caller.send_head), origin = std::move(origin),
                      is_allowed](ResponseHead head) {
    replace_cors_headers(head.headers, origin, is_allowed);
    return send(std::move(head));
  };
}

}  // namespace mgpu::gateway
