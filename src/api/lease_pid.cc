#include "api/lease_pid.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "gpu/pid_translator.h"
#include "gpu/process_table.h"
#include "gpu/small_file.h"
#include "gpu/tcp_sockets.h"

namespace mgpu::api {
namespace {

constexpr int kInitPid = 1;
constexpr std::string_view kUnownedSocket = "socket:[0]";

// The peer's socket in this host's tables; several where the address is in the IPv4 and the IPv6 table.
struct ConnectionSockets {
  std::set<std::string> links{};  // "socket:[1234]"
  std::optional<uid_t> user{};
};

// As the tables of /proc/net write an address: 32 bits at a time, each in the host's order.
std::string proc_net_address(const void* address, std::size_t size) {
  std::string text;
  std::array<std::uint32_t, 4> words{};
  std::copy_n(static_cast<const unsigned char*>(address), size,
              reinterpret_cast<unsigned char*>(words.data()));
  for (std::size_t i = 0; i < size / 4; ++i) text += fmt::format("{:08X}", words[i]);
  return text;
}

// "127.0.0.1:5123" as the tables may show it: an IPv4 address also as a mapped IPv6 one. Empty: not an
// address.
std::vector<std::string> proc_net_endpoints(std::string_view peer) {
  const auto colon = peer.rfind(':');
  if (colon == std::string_view::npos) return {};
  unsigned port = 0;
  const std::string_view digits = peer.substr(colon + 1);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec != std::errc{}) return {};
  std::string host(peer.substr(0, colon));
  if (host.starts_with("::ffff:")) host.erase(0, std::string_view("::ffff:").size());
  in_addr four{};
  in6_addr six{};
  const std::string end = fmt::format(":{:04X}", port);
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) {
    const std::string short_form = proc_net_address(&four, sizeof four);
    inet_pton(AF_INET6, ("::ffff:" + host).c_str(), &six);
    return {short_form + end, proc_net_address(&six, sizeof six) + end};
  }
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return {proc_net_address(&six, sizeof six) + end};
  return {};
}

ConnectionSockets find_sockets(std::string_view peer) {
  const std::vector<std::string> wanted = proc_net_endpoints(peer);
  ConnectionSockets found;
  gpu::for_each_tcp_socket([&](const gpu::TcpSocket& socket) {
    if (socket.inode_link == kUnownedSocket ||
        std::ranges::find(wanted, socket.local_address) == wanted.end())
      return;
    found.links.insert(socket.inode_link);
    found.user = socket.uid;
  });
  return found;
}

std::optional<uid_t> process_user(int pid) {
  struct stat facts{};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &facts) != 0) return std::nullopt;
  return facts.st_uid;
}

bool is_ancestor(const gpu::ProcessTable& all, int ancestor, int pid) {
  for (auto at = all.find(pid); at != all.end() && at->first > kInitPid; at = all.find(at->second.parent))
    if (at->second.parent == ancestor) return true;
  return false;
}

bool are_related(const gpu::ProcessTable& all, int one, int other) {
  const gpu::ProcessStat& a = all.at(one);
  const gpu::ProcessStat& b = all.at(other);
  const bool siblings = a.parent == b.parent && a.parent > kInitPid;
  return siblings || a.group == b.group || is_ancestor(all, one, other) || is_ancestor(all, other, one);
}

// The processes of this host that have this pid inside their container.
std::vector<int> pids_with_inner_pid(int inner, const std::vector<int>& pids) {
  std::vector<int> found;
  std::ranges::copy_if(pids, std::back_inserter(found), [&](int pid) {
    return gpu::parse_namespace_pid(gpu::read_file_text(fmt::format("/proc/{}/status", pid))) == inner;
  });
  return found;
}

}  // namespace

std::optional<int> verified_pid(int claimed, std::string_view peer) {
  if (claimed <= kInitPid) return std::nullopt;
  const ConnectionSockets sockets = find_sockets(peer);
  if (sockets.links.empty()) return std::nullopt;  // on another host, or in another network namespace
  const auto facts = gpu::read_process(claimed);
  const bool is_process = facts && !facts->kernel_thread;
  const std::optional<bool> has_socket = is_process ? gpu::has_open_socket(claimed, sockets.links) : false;
  if (has_socket == true) return claimed;

  const std::vector<int> pids = gpu::list_numeric_entries("/proc").value_or(std::vector<int>{});
  const std::vector<int> inner_matches = pids_with_inner_pid(claimed, pids);
  for (const int pid : inner_matches)
    if (gpu::has_open_socket(pid, sockets.links) == true) return pid;
  if (!is_process || process_user(claimed) != sockets.user) return std::nullopt;
  if (!has_socket) return inner_matches.empty() ? std::optional(claimed) : std::nullopt;

  const gpu::ProcessTable all = gpu::read_process_table(pids);
  for (const auto& [pid, other] : all)
    if (all.contains(claimed) && pid != claimed && are_related(all, claimed, pid) &&
        gpu::has_open_socket(pid, sockets.links) == true)
      return claimed;
  return std::nullopt;
}

}  // namespace mgpu::api
