// The TCP sockets of this network namespace, from /proc/net, and the processes that have them open.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace mgpu::gpu {

// One line of /proc/net/tcp or tcp6; address and state in its hexadecimal notation.
struct TcpSocket {
  std::string local_address{};  // "0100007F:1F9A"
  std::string state{};          // "0A": listening
  uid_t uid = 0;
  std::string
      inode_link{};  // "socket:[4711]", the link target of its descriptors; "socket:[0]": none is open
};

void for_each_tcp_socket(const std::function<void(const TcpSocket&)>& visit);

// Those that listen on the port and get connections to `address` ("127.0.0.1", "::1"): bound to it or to any
// address. Whether a socket of any IPv6 address refuses IPv4 can't be seen here: it counts for both.
std::vector<TcpSocket> find_tcp_listeners(const std::string& address, std::uint16_t port);

// Whether a socket with this local address, in the notation of /proc/net without the port, gets connections
// to `address`. Pure.
bool accepts_connections_to(std::string_view socket_address, const std::string& address);

// The inode links of the Unix sockets that listen at this path.
std::set<std::string> find_unix_listeners(const std::string& path);

// Whether a descriptor of the process links to one of `links`. nullopt: permission denied.
std::optional<bool> has_open_socket(int pid, const std::set<std::string>& links);

}  // namespace mgpu::gpu
