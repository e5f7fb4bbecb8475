#include "gpu/tcp_sockets.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include "gpu/process_table.h"

namespace mgpu::gpu {

void for_each_tcp_socket(const std::function<void(const TcpSocket&)>& visit) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
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
      if (words) visit(socket);
    }
  }
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
