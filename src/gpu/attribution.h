// Whose bytes are these? Pure: a reading, the owners and the processes go in, sums come out.
//
// A process belongs to an owner if it is the owner's root, a descendant of it, in its process group, or in
// its container, batch job or systemd unit; in this order. Where several roots are above a process the
// nearest one has it (a command under `mgpu run` inside a consumer's tree is the lease's). What is left of
// the driver's own number is foreign, so that the sums add up to what the driver says is used and not to its
// list of processes, which leaves out contexts, other containers and leaks.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "domain/consumer.h"
#include "domain/ticket.h"
#include "gpu/process_table.h"
#include "gpu/provider.h"

namespace mgpu::gpu {

// One consumer or lease may own several trees: then it is listed several times. The holder of a lease_only
// consumer's lease is listed under the consumer or under the lease, as the caller wants it counted. What is
// empty says nothing; any one of them will do.
struct Owner {
  std::variant<ConsumerId, TicketId> id{};
  int root_pid = 0;
  std::optional<int> process_group{};
  std::string unit{};       // "ollama.service"
  std::string container{};  // its id, whole or the first 12 digits and more
  std::string slurm_job{};  // "4711"
};

struct Attribution {
  struct ConsumerBytes {
    ConsumerId consumer{};
    Bytes bytes{};
    friend bool operator==(const ConsumerBytes&, const ConsumerBytes&) = default;
  };
  struct LeaseBytes {
    TicketId lease{};
    Bytes bytes{};
    friend bool operator==(const LeaseBytes&, const LeaseBytes&) = default;
  };
  struct ConsumerProcess {
    ConsumerId consumer{};
    int pid = 0;
    friend bool operator==(const ConsumerProcess&, const ConsumerProcess&) = default;
  };
  // False: the driver does not say what the owners' processes hold, or does not let us see some of them. Then
  // `consumers` and `leases` are empty, which means unknown, not nothing, and `foreign` is reckoned from
  // `expected`.
  bool by_process = true;
  std::vector<ConsumerBytes> consumers{};    // those with a process on the device; ascending
  std::vector<LeaseBytes> leases{};          // likewise
  std::vector<ConsumerProcess> processes{};  // of consumers, in the driver's order; also if bytes are unknown
  Bytes foreign{};                           // never negative
  std::vector<ProcessUsage> foreign_processes{};  // with their command; the largest first, the unknown last
};

// `expected`: what all owners together should hold; used only where the driver can't tell.
// REQUIRES: `processes` has the reading's processes and their ancestors (read_process_table).
Attribution attribute(const RawReading& reading, std::span<const Owner> owners, const ProcessTable& processes,
                      Bytes expected);

}  // namespace mgpu::gpu
