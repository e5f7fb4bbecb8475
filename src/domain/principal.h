// On whose behalf a request comes. One admission step (auth/authenticate.h) makes it from the request's head
// and its connection; the ticket and the lease that come of the request carry it on.
#pragma once

#include <cstddef>
#include <string>

namespace mgpu {

inline constexpr std::size_t kMaxUserLength = 128;  // bytes of a user's name

struct Principal {
  std::string address{};  // of the client, without its port: "127.0.0.1"
  bool is_local = false;  // the client runs on this machine: its address is a loopback address
  std::string user{};     // as the client names itself; empty: it does not. At most kMaxUserLength bytes
  std::string api_key{};  // as the client shows it; empty: none. A secret: never logged or stored
};

}  // namespace mgpu
