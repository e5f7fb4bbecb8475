// Whose a port is. An answer at an application's address proves nothing: another program may listen there.
// Before a start the port must be free, and after it the application's own processes must listen.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/endpoint.h"

namespace mgpu::runner {

struct PortOwner {
  int pid = 0;         // 0: it can't be inspected
  std::string name{};  // "python3"; of one that can't be inspected: "a process of uid 1000"
};

// "pid 812 (python3)", "a process of uid 1000".
std::string to_string(const PortOwner& owner);

// Who listens at the endpoint on this host, the oldest first; of several processes that share a socket all
// that can be inspected. Empty: nobody, or the endpoint is on another host, or in a network of its own.
std::vector<PortOwner> find_port_owners(const http::Endpoint& endpoint);

// Whether an application of this host could listen at the endpoint now. Error: load_failed, "port 9001
// belongs to pid 812 (python3)".
Result<void> check_port_is_free(const http::Endpoint& endpoint);

// Whether one of the application's processes (`is_own`) listens at the endpoint, or a program of a container
// engine that publishes ports: what it forwards to can't be seen. No error where nobody can be found, since a
// port may be forwarded by the kernel. Error: load_failed, with the owner.
Result<void> check_port_is_own(const http::Endpoint& endpoint, const std::function<bool(int pid)>& is_own);

// The first of the processes that listens at the endpoint; none: nobody does.
std::optional<int> find_listener_among(const std::vector<int>& pids, const http::Endpoint& endpoint);

}  // namespace mgpu::runner
