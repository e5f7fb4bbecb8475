#include "gateway/passing_on.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "gateway/form_scanner.h"
#include "gateway/route.h"

namespace mgpu::gateway {
namespace {

constexpr std::array<std::string_view, 8> kHopByHop{"connection", "keep-alive",        "proxy-connection",
                                                    "te",         "trailer",           "transfer-encoding",
                                                    "upgrade",    "proxy-authenticate"};

// "m" and Ollama's "m:latest" are one AI model.
bool same_ai_model(std::string_view a, std::string_view b) {
  constexpr std::string_view kLatest = ":latest";
  if (a.ends_with(kLatest)) a.remove_suffix(kLatest.size());
  if (b.ends_with(kLatest)) b.remove_suffix(kLatest.size());
  return a == b;
}

bool climbs(std::string_view path) {
  std::string decoded = percent_decoded(path, false);
  std::string_view rest = decoded;
  while (true) {
    std::size_t end = std::min(rest.find_first_of("/\\"), rest.size());
    if (rest.substr(0, end) == "..") return true;
    if (end == rest.size()) return false;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace

bool is_hop_by_hop(std::string_view name, std::string_view connection) {
  auto same = [name](std::string_view other) { return equals_ignore_case(name, other); };
  return std::ranges::any_of(kHopByHop, same) || list_contains(connection, name);
}

std::string forwarded_for(std::string_view sent, std::string_view client_address) {
  if (sent.empty()) return std::string(client_address);
  return std::string(sent) + ", " + std::string(client_address);
}

std::optional<std::string> name_for_service(std::string_view asked, std::string_view resident,
                                            const std::vector<std::string>& configured) {
  std::string_view own = resident;
  if (own.empty() && configured.size() == 1) own = configured.front();
  if (own.empty() || same_ai_model(own, asked)) return std::nullopt;
  return std::string(own);
}

bool is_free(const std::vector<std::string>& free_paths, std::string_view target) {
  std::string_view path = path_of(target);
  auto matches = [path](const std::string& pattern) { return matches_path(pattern, path); };
  return std::ranges::any_of(free_paths, matches) && !climbs(path);
}

}  // namespace mgpu::gateway
