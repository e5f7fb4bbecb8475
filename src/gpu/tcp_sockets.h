// The TCP sockets of this network namespace, as /proc tells them, and who has them open.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include <sys/types.h>

namespace mgpu::gpu {

// One line of /proc/net/tcp or tcp6; addresses and state are hexadecimal, as they stand there.
struct TcpSocket {
  std::string local_address{};  // "0100007F:1F9A"
  std::string state{};          // "0A": listening
  uid_t uid = 0;
  std::string inode_link{};  // "socket:[4711]": what a descriptor of it links to; "socket:[0]": nobody has it
};

void for_each_tcp_socket(const std::function<void(const TcpSocket&)>& visit);

// Whether a process has one of these links among its descriptors. None: we may not look.
std::optional<bool> has_open_socket(int pid, const std::set<std::string>& links);

}  // namespace mgpu::gpu
