// Whether the pid that a lease's caller names is one of its own, and which one it is on this host. What a
// caller says is not believed: in a container it counts its own pids, on another host they mean nothing here,
// and whoever named the parent of all others would be given everybody's memory.
//
// Reads /proc; some milliseconds where the caller is not the process that it names.
#pragma once

#include <optional>
#include <string_view>

namespace mgpu::api {

// The process of this host that `claimed` means: it, an ancestor, a descendant, a sibling or a member of its
// process group has the other end of the connection from `peer` ("127.0.0.1:5123", "::1:5123") open, and
// belongs to the same user. A pid that the caller has inside its container is translated. Where we may not
// look into the caller's descriptors, a process of the connection's user is believed. None: it can't be
// verified.
std::optional<int> verified_pid(int claimed, std::string_view peer);

}  // namespace mgpu::api
