// Whether the peer of a TCP connection that sent its FIN is still there. TCP itself does not tell: a FIN is
// what remains of a program that left, and also what somebody sends who has said all and now listens.
#pragma once

#include <cstdint>

namespace mgpu::http {

enum class PeerState : std::uint8_t {
  alive,    // its socket is open, and belongs to somebody: it only closed its sending side
  gone,     // nobody has its socket any more
  unknown,  // it is on another machine, or the kernel does not tell
};

// Asks this machine's kernel (sock_diag, inet_diag_req_v2) for the peer's own socket. Does not block.
PeerState query_peer_state(int fd);

// Keepalive for a connection on which nothing may be said for hours: a peer that lost power is noticed within
// a minute (lease connections are held by programs on other machines, too).
void enable_keepalive(int fd);

}  // namespace mgpu::http
