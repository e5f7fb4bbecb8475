// Checks the pid that a client names as its lease's process, and translates it to this host. The claim alone
// is not enough: a container has pids of its own, those of another host mean nothing here, and a client that
// named the parent of all processes would be charged with everybody's memory.
//
// Reads /proc; takes some milliseconds where the client is not the process that it names.
#pragma once

#include <optional>
#include <string_view>

namespace mgpu::api {

// The process of this host that `claimed` means. It is accepted if it, an ancestor, a descendant, a sibling
// or a member of its process group has the other end of the connection from `peer` ("127.0.0.1:5123",
// "::1:5123") open and belongs to the same user. A pid inside the client's container is translated. Where the
// daemon may not read the process' descriptors, the same user is enough. None: it can't be verified.
std::optional<int> verified_pid(int claimed, std::string_view peer);

}  // namespace mgpu::api
