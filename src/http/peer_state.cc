#include "http/peer_state.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mgpu::http {
namespace {

// An address in the form of sock_diag: network byte order, IPv4 in the first word.
struct SocketAddress {
  int family = AF_UNSPEC;
  in_port_t port = 0;
  std::array<std::uint32_t, 4> words{};
};

SocketAddress to_socket_address(const sockaddr_storage& storage) {
  SocketAddress address{.family = storage.ss_family};
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    address.port = in.sin_port;
    address.words[0] = in.sin_addr.s_addr;
  } else if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &storage, sizeof in);
    address.port = in.sin6_port;
    std::memcpy(address.words.data(), &in.sin6_addr, sizeof in.sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {  // the peer's own socket is most likely an IPv4 one
      address.family = AF_INET;
      address.words = {address.words[3], 0, 0, 0};
    }
  }
  return address;
}

// `query`: getsockname or getpeername.
SocketAddress query_address(int fd, int (*query)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (query(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return to_socket_address(storage);
}

bool is_loopback(const SocketAddress& address) {
  if (address.family == AF_INET) return (ntohl(address.words[0]) >> 24) == 127;
  in6_addr in{};
  std::memcpy(&in, address.words.data(), sizeof in);
  return address.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in);
}

bool is_on_this_machine(const SocketAddress& ours, const SocketAddress& peers) {
  return is_loopback(peers) || (ours.family == peers.family && ours.words == peers.words);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct DiagRequest {
  nlmsghdr header{};
  inet_diag_req_v2 query{};
};

// The inode of the socket with these two ends; 0 if no process has it open, or if there is no such socket.
// None: the kernel does not reply.
std::optional<std::uint32_t> find_socket_inode(const SocketAddress& local, const SocketAddress& remote) {
  const FileDescriptor netlink(
      ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  if (netlink.get() < 0) return std::nullopt;
  DiagRequest request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.query.sdiag_family = static_cast<std::uint8_t>(local.family);
  request.query.sdiag_protocol = IPPROTO_TCP;
  request.query.idiag_states = ~0U;
  request.query.id.idiag_sport = local.port;
  request.query.id.idiag_dport = remote.port;
  std::memcpy(request.query.id.idiag_src, local.words.data(), sizeof local.words);
  std::memcpy(request.query.id.idiag_dst, remote.words.data(), sizeof remote.words);
  request.query.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.query.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (::send(netlink.get(), &request, sizeof request, 0) < 0) return std::nullopt;

  alignas(nlmsghdr) std::array<char, 2048> answer{};
  const ssize_t n = ::recv(netlink.get(), answer.data(), answer.size(), 0);
  nlmsghdr header{};
  if (n < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) {
    nlmsgerr error{};
    if (n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof error))) return std::nullopt;
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    return error.error == -ENOENT ? std::optional<std::uint32_t>(0) : std::nullopt;
  }
  inet_diag_msg message{};
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof message)))
    return std::nullopt;
  std::memcpy(&message, answer.data() + NLMSG_HDRLEN, sizeof message);
  return message.idiag_inode;
}

void set_socket_option(int fd, int level, int option, int value) {
  // Fails for a Unix socket, which needs none of these.
  static_cast<void>(::setsockopt(fd, level, option, &value, sizeof value));
}

}  // namespace

PeerState query_peer_state(int fd) {
  const SocketAddress ours = query_address(fd, &::getsockname);
  const SocketAddress peers = query_address(fd, &::getpeername);
  if (peers.family != AF_INET && peers.family != AF_INET6) return PeerState::gone;  // no longer connected
  if (!is_on_this_machine(ours, peers)) return PeerState::unknown;
  const auto inode = find_socket_inode(peers, ours);
  if (!inode) return PeerState::unknown;
  return *inode != 0 ? PeerState::alive : PeerState::gone;
}

void enable_keepalive(int fd) {
  constexpr int kIdleS = 20, kIntervalS = 10, kProbes = 3, kUnacknowledgedMs = 50'000;
  set_socket_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kIdleS);
  set_socket_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, kIntervalS);
  set_socket_option(fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set_socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMs);
}

}  // namespace mgpu::http
