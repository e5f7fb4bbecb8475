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

constexpr int kFirstProcess = 1;
constexpr std::string_view kNobodys = "socket:[0]";

// The ends of a connection in this host's tables: one, but for addresses that stand in both tables.
struct Sockets {
  std::set<std::string> links{};  // "socket:[1234]"
  std::optional<uid_t> user{};
};

// As the tables of /proc/net write an address: 32 bits at a time, each in the host's order.
std::string as_in_table(const void* address, std::size_t size) {
  std::string text;
  std::array<std::uint32_t, 4> words{};
  std::copy_n(static_cast<const unsigned char*>(address), size,
              reinterpret_cast<unsigned char*>(words.data()));
  for (std::size_t i = 0; i < size / 4; ++i) text += fmt::format("{:08X}", words[i]);
  return text;
}

// "127.0.0.1:5123" as it may stand there: an IPv4 address also as IPv6 has it. Empty: no such address.
std::vector<std::string> in_tables(std::string_view peer) {
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
    const std::string short_form = as_in_table(&four, sizeof four);
    inet_pton(AF_INET6, ("::ffff:" + host).c_str(), &six);
    return {short_form + end, as_in_table(&six, sizeof six) + end};
  }
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return {as_in_table(&six, sizeof six) + end};
  return {};
}

Sockets sockets_of(std::string_view peer) {
  const std::vector<std::string> wanted = in_tables(peer);
  Sockets found;
  gpu::for_each_tcp_socket([&](const gpu::TcpSocket& socket) {
    if (socket.inode_link == kNobodys || std::ranges::find(wanted, socket.local_address) == wanted.end())
      return;
    found.links.insert(socket.inode_link);
    found.user = socket.uid;
  });
  return found;
}

std::optional<uid_t> user_of(int pid) {
  struct stat facts{};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &facts) != 0) return std::nullopt;
  return facts.st_uid;
}

bool is_above(const gpu::ProcessTable& all, int ancestor, int pid) {
  for (auto at = all.find(pid); at != all.end() && at->first > kFirstProcess;
       at = all.find(at->second.parent))
    if (at->second.parent == ancestor) return true;
  return false;
}

bool are_related(const gpu::ProcessTable& all, int one, int other) {
  const gpu::ProcessStat& a = all.at(one);
  const gpu::ProcessStat& b = all.at(other);
  const bool siblings = a.parent == b.parent && a.parent > kFirstProcess;
  return siblings || a.group == b.group || is_above(all, one, other) || is_above(all, other, one);
}

// Whose pid inside a container it is.
std::vector<int> called_so_inside(int inner, const std::vector<int>& pids) {
  std::vector<int> found;
  std::ranges::copy_if(pids, std::back_inserter(found), [&](int pid) {
    return gpu::parse_namespace_pid(gpu::read_file_text(fmt::format("/proc/{}/status", pid))) == inner;
  });
  return found;
}

}  // namespace

std::optional<int> verified_pid(int claimed, std::string_view peer) {
  if (claimed <= kFirstProcess) return std::nullopt;
  const Sockets sockets = sockets_of(peer);
  if (sockets.links.empty()) return std::nullopt;  // it is on another host, or in a network of its own
  const auto facts = gpu::read_process(claimed);
  const bool is_process = facts && !facts->kernel_thread;
  const std::optional<bool> has = is_process ? gpu::has_open_socket(claimed, sockets.links) : false;
  if (has == true) return claimed;

  const std::vector<int> pids = gpu::list_numeric_entries("/proc").value_or(std::vector<int>{});
  const std::vector<int> inside = called_so_inside(claimed, pids);
  for (const int pid : inside)
    if (gpu::has_open_socket(pid, sockets.links) == true) return pid;
  if (!is_process || user_of(claimed) != sockets.user) return std::nullopt;
  if (!has) return inside.empty() ? std::optional(claimed) : std::nullopt;

  const gpu::ProcessTable all = gpu::read_process_table(pids);
  for (const auto& [pid, other] : all)
    if (all.contains(claimed) && pid != claimed && are_related(all, claimed, pid) &&
        gpu::has_open_socket(pid, sockets.links) == true)
      return claimed;
  return std::nullopt;
}

}  // namespace mgpu::api
