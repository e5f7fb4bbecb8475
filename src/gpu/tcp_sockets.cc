#include "gpu/tcp_sockets.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <arpa/inet.h>
#include <unistd.h>

#include "gpu/process_table.h"

namespace mgpu::gpu {

namespace {

constexpr std::string_view kListenState = "0A";

// Calls `visit` for each socket until it returns false.
void read_table(const char* table, const std::function<bool(const TcpSocket&)>& visit) {
  std::ifstream file(table);
  std::string line;
  std::getline(file, line);  // the heading
  while (std::getline(file, line)) {
    std::istringstream words(line);
    TcpSocket socket;
    std::string slot, remote, queues, timer, retransmits, timeout, inode;
    words >> slot >> socket.local_address >> remote >> socket.state >> queues >> timer >> retransmits >>
        socket.uid >> timeout >> inode;
    socket.inode_link = "socket:[" + inode + "]";
    if (words && !visit(socket)) return;
  }
}

// As /proc/net writes an address: 32-bit words in the host's byte order, in hexadecimal. Empty: no address.
std::string proc_net_address(const std::string& address) {
  std::array<std::uint32_t, 4> words{};
  const bool is_v6 = address.contains(':');
  if (::inet_pton(is_v6 ? AF_INET6 : AF_INET, address.c_str(), words.data()) != 1) return {};
  std::string text;
  for (std::size_t i = 0; i < (is_v6 ? 4U : 1U); ++i) {
    std::array<char, 9> digits{};
    std::snprintf(digits.data(), digits.size(), "%08X", words[i]);
    text += digits.data();
  }
  return text;
}

}  // namespace

void for_each_tcp_socket(const std::function<void(const TcpSocket&)>& visit) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"})
    read_table(table, [&](const TcpSocket& socket) { return visit(socket), true; });
}

bool accepts_connections_to(std::string_view socket_address, const std::string& address) {
  const std::string wanted = proc_net_address(address);
  const bool is_any_v4 = socket_address == "00000000";
  const bool is_any_v6 = socket_address == "00000000000000000000000000000000";
  if (wanted.empty()) return false;
  if (address.contains(':')) return is_any_v6 || socket_address == wanted;
  return is_any_v4 || is_any_v6 || socket_address == wanted ||
         socket_address == "0000000000000000FFFF0000" + wanted;
}

std::vector<TcpSocket> find_tcp_listeners(const std::string& address, std::uint16_t port) {
  std::vector<TcpSocket> found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"})
    read_table(table, [&](const TcpSocket& socket) {
      if (socket.state != kListenState) return false;  // the kernel lists those that listen first
      const auto colon = socket.local_address.find(':');
      if (colon == std::string::npos) return true;
      const bool is_port = std::strtoul(socket.local_address.c_str() + colon + 1, nullptr, 16) == port;
      if (is_port && accepts_connections_to(std::string_view(socket.local_address).substr(0, colon), address))
        found.push_back(socket);
      return true;
    });
  return found;
}

// A line is "0000: 00000002 00000000 00010000 0001 01 4711 /run/a.sock"; the fourth word tells that it
// listens.
std::set<std::string> find_unix_listeners(const std::string& path) {
  std::set<std::string> links;
  std::ifstream file("/proc/net/unix");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string number, references, protocol, flags, type, state, inode, at;
    words >> number >> references >> protocol >> flags >> type >> state >> inode >> std::ws;
    std::getline(words, at);
    if (flags == "00010000" && at == path) links.insert("socket:[" + inode + "]");
  }
  return links;
}

std::optional<bool> has_open_socket(int pid, const std::set<std::string>& links) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/fd";
  const auto descriptors = list_numeric_entries(folder);
  if (!descriptors) return std::nullopt;
  return std::ranges::any_of(*descriptors, [&](int descriptor) {
    std::string target(64, '\0');
    const auto length =
        readlink((folder + "/" + std::to_string(descriptor)).c_str(), target.data(), target.size());
    if (length <= 0) return false;
    target.resize(static_cast<std::size_t>(length));
    return links.contains(target);
  });
}

}  // namespace mgpu::gpu
