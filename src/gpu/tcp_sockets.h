// The TCP sockets of this network namespace, from /proc/net, and the processes that have them open.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

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

// Whether a descriptor of the process links to one of `links`. nullopt: permission denied.
std::optional<bool> has_open_socket(int pid, const std::set<std::string>& links);

}  // namespace mgpu::gpu
