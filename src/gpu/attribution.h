// Assigns the device memory of a reading to consumers, leases and foreign processes. Pure.
//
// A process belongs to an owner if it is the owner's root, a descendant of it, in its process group, marked
// as of its run, or in its container, batch job or systemd unit; checked in this order. Of several roots
// above a process the nearest one owns it (a command under `mgpu run` inside a consumer's tree belongs to the
// lease). The rest of the used bytes that the driver reports is foreign. So all sums add up to the driver's
// total and not to the total of its process list, which omits contexts, other containers and leaks.
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

// A consumer or lease with several process trees has several entries. The holder of a lease_only consumer's
// lease is listed under the consumer or under the lease, as the caller wants it counted. Empty fields are
// ignored; one matching field suffices.
struct Owner {
  std::variant<ConsumerId, TicketId> id{};
  std::optional<TicketId>
      ticket{};  // whose holder's processes these are, also where a consumer gets the bytes
  int root_pid = 0;
  std::optional<int> process_group{};
  std::string run{};        // as ProcessStat::run
  std::string unit{};       // "ollama.service"
  std::string container{};  // the id, or at least its first 12 digits
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
  struct OwnedProcess {
    int pid = 0;
    std::size_t owner = 0;        // index
    bool has_owners_run = false;  // it has the mark of the owner's run
  };
  // False: the driver does not report the bytes of the owners' processes, or some of these can't be
  // inspected. Then `consumers` and `leases` are empty, which means unknown and not zero, and `foreign` is
  // used - expected.
  bool by_process = true;
  std::vector<ConsumerBytes> consumers{};         // with a process on the device; ascending by id
  std::vector<LeaseBytes> leases{};               // likewise
  std::vector<ConsumerProcess> processes{};       // in the driver's order; also if bytes are unknown
  std::vector<OwnedProcess> owned_processes{};    // likewise, of all owners
  Bytes foreign{};                                // never negative
  std::vector<ProcessUsage> foreign_processes{};  // with command; the largest first, unknown bytes last
};

// `expected`: the bytes that all owners should hold; used only if `by_process` is false.
// REQUIRES: `processes` contains the reading's processes and their ancestors (read_process_table).
Attribution attribute(const RawReading& reading, std::span<const Owner> owners, const ProcessTable& processes,
                      Bytes expected);

}  // namespace mgpu::gpu
