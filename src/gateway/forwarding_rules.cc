#include "gateway/forwarding_rules.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "gateway/form_scanner.h"
#include "gateway/route.h"
#include "service/service.h"

namespace mgpu::gateway {
namespace {

constexpr std::array<std::string_view, 8> kHopByHopHeaders{
    "connection", "keep-alive",        "proxy-connection", "te",
    "trailer",    "transfer-encoding", "upgrade",          "proxy-authenticate"};

}  // namespace

bool is_hop_by_hop(std::string_view name, std::string_view connection) {
  auto same = [name](std::string_view other) { return equals_ignore_case(name, other); };
  return std::ranges::any_of(kHopByHopHeaders, same) || list_contains(connection, name);
}

http::Headers forwarded_headers(const http::Headers& headers, bool is_upgrade) {
  http::Headers forwarded;
  const std::string connection = http::joined_header(headers, "Connection");
  for (const auto& entry : headers) {
    const bool upgrades = is_upgrade && equals_ignore_case(entry.first, "Upgrade");
    if (upgrades || !is_hop_by_hop(entry.first, connection)) forwarded.push_back(entry);
  }
  if (is_upgrade) forwarded.emplace_back("Connection", "Upgrade");
  return forwarded;
}

std::string forwarded_for(std::string_view received, std::string_view client_address) {
  if (received.empty()) return std::string(client_address);
  return std::string(received) + ", " + std::string(client_address);
}

std::optional<std::string> service_model_name(config::ServiceType type, std::string_view requested,
                                              std::string_view resident_model,
                                              const std::vector<std::string>& configured_models) {
  std::string_view service_name = resident_model;
  if (service_name.empty() && configured_models.size() == 1) service_name = configured_models.front();
  if (service_name.empty() || service::name_key(type, service_name) == service::name_key(type, requested))
    return std::nullopt;
  return std::string(service_name);
}

bool asks_websocket_upgrade(const http::RequestHead& head) {
  return head.method == "GET" && head.length == 0 &&
         list_contains(http::joined_header(head.headers, "Upgrade"), "websocket") &&
         list_contains(http::joined_header(head.headers, "Connection"), "upgrade");
}

}  // namespace mgpu::gateway
