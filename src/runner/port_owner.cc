#include "runner/port_owner.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "gpu/tcp_sockets.h"
#include "http/addresses.h"

namespace mgpu::runner {

namespace {

// Programs of container engines that listen on the host for a container.
constexpr std::array<std::string_view, 9> kPortPublishers{"docker-proxy", "com.docker.back", "rootlessport",
                                                          "rootlesskit",  "slirp4netns",     "pasta",
                                                          "pasta.avx2",   "conmon",          "podman"};

bool is_port_publisher(std::string_view name) {
  return std::ranges::find(kPortPublishers, name) != kPortPublishers.end();
}

// The errno of listening at an address of this host; 0: it would work.
int try_to_bind(const std::string& address, std::uint16_t port) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool is_v6 = address.contains(':');
  if (is_v6 ? ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) != 1
            : ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) != 1)
    return EADDRNOTAVAIL;
  const int fd = ::socket(is_v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // As servers do: connections of an earlier run that linger are no obstacle, a socket that listens is one.
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_v6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const int failed = is_v6 ? ::bind(fd, reinterpret_cast<const sockaddr*>(&v6), sizeof v6)
                           : ::bind(fd, reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  const int error = failed != 0 ? errno : 0;
  ::close(fd);
  return error;
}

// The addresses of this host that a client of the endpoint may connect to. Empty: it is on another host, or a
// name whose address is not known without asking.
std::vector<std::string> own_addresses(const http::Endpoint& endpoint) {
  std::vector<std::string> addresses = http::known_addresses(endpoint.host);
  if (endpoint.host == "0.0.0.0") addresses = {"127.0.0.1"};
  if (endpoint.host == "::") addresses = {"::1"};
  const std::uint16_t any_port = 0;
  std::erase_if(addresses, [](const std::string& address) { return try_to_bind(address, any_port) != 0; });
  return addresses;
}

struct Listeners {
  std::set<std::string> links{};  // of their sockets
  std::optional<uid_t> user{};    // of the first
};

Listeners find_listeners(const http::Endpoint& endpoint) {
  if (endpoint.scheme == http::Scheme::unix) return {.links = gpu::find_unix_listeners(endpoint.host)};
  Listeners found;
  for (const std::string& address : own_addresses(endpoint))
    for (const gpu::TcpSocket& socket : gpu::find_tcp_listeners(address, endpoint.port)) {
      found.links.insert(socket.inode_link);
      if (!found.user) found.user = socket.uid;
    }
  return found;
}

std::vector<PortOwner> owners_of(const Listeners& listeners) {
  std::vector<PortOwner> owners;
  if (listeners.links.empty()) return owners;
  for (const int pid : gpu::find_socket_holders(listeners.links))
    owners.push_back({.pid = pid, .name = gpu::read_process_name(pid)});
  if (owners.empty())
    owners.push_back({.name = listeners.user ? fmt::format("a process of uid {}", *listeners.user)
                                             : "a process that can't be inspected"});
  return owners;
}

std::string place_name(const http::Endpoint& endpoint) {
  return endpoint.scheme == http::Scheme::unix ? "socket " + endpoint.host
                                               : fmt::format("port {}", endpoint.port);
}

Error taken_error(const http::Endpoint& endpoint, const std::string& owner) {
  return {ErrorCode::load_failed, fmt::format("{} belongs to {}", place_name(endpoint), owner)};
}

}  // namespace

std::string to_string(const PortOwner& owner) {
  return owner.pid == 0 ? owner.name : fmt::format("pid {} ({})", owner.pid, owner.name);
}

std::vector<PortOwner> find_port_owners(const http::Endpoint& endpoint) {
  return owners_of(find_listeners(endpoint));
}

Result<void> check_port_is_free(const http::Endpoint& endpoint) {
  if (endpoint.scheme == http::Scheme::unix) {
    const auto owners = find_port_owners(endpoint);
    if (owners.empty()) return {};
    return std::unexpected(taken_error(endpoint, to_string(owners.front())));
  }
  for (const std::string& address : own_addresses(endpoint)) {
    if (try_to_bind(address, endpoint.port) != EADDRINUSE) continue;
    http::Endpoint taken = endpoint;
    taken.host = address;
    const auto owners = find_port_owners(taken);
    return std::unexpected(
        taken_error(endpoint, owners.empty() ? "a process that can't be found" : to_string(owners.front())));
  }
  return {};
}

Result<void> check_port_is_own(const http::Endpoint& endpoint, const std::function<bool(int pid)>& is_own) {
  const auto owners = find_port_owners(endpoint);
  if (owners.empty() || owners.front().pid == 0) return {};
  for (const PortOwner& owner : owners)
    if (is_port_publisher(owner.name) || is_own(owner.pid)) return {};
  return std::unexpected(taken_error(endpoint, to_string(owners.front())));
}

std::optional<int> find_listener_among(const std::vector<int>& pids, const http::Endpoint& endpoint) {
  const Listeners listeners = find_listeners(endpoint);
  if (listeners.links.empty()) return std::nullopt;
  const auto found = std::ranges::find_if(
      pids, [&](int pid) { return gpu::has_open_socket(pid, listeners.links).value_or(false); });
  return found == pids.end() ? std::nullopt : std::optional(*found);
}

}  // namespace mgpu::runner
