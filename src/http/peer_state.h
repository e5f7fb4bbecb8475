// Whether the peer of a TCP connection still exists after its FIN. TCP does not distinguish: a program that
// closed its socket and one that only closed its sending side both send a FIN.
#pragma once

#include <cstdint>

namespace mgpu::http {

enum class PeerState : std::uint8_t {
  alive,    // a process has its socket open: it only ended its sending side
  gone,     // no process has its socket
  unknown,  // the peer is on another machine, or the kernel does not reply
};

// Queries this machine's kernel (sock_diag, inet_diag_req_v2) for the peer's own socket. Does not block.
PeerState query_peer_state(int fd);

// Enables TCP keepalive, for connections that may be silent for hours (leases of programs on other machines):
// a peer that lost power is detected within a minute.
void enable_keepalive(int fd);

}  // namespace mgpu::http
