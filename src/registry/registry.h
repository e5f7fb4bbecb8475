// Who the consumers are, what each of them holds, and what that costs: the part of the world that answers
// "how many bytes". It knows nothing of lines and turns.
//
// Committed memory of a consumer is the larger of what the provider measured and what is expected of it; what
// did not come free stays committed however cold its resident is called.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "domain/device.h"
#include "domain/resident.h"
#include "domain/ticket.h"

namespace mgpu {

// What a consumer has on one of its devices.
struct DeviceUsage {
  Bytes measured{};    // by the last reading
  Bytes attributed{};  // its part of held(), as of the last measurement, without what was seen to leave since
  Bytes unattributed{};  // measured beyond that
};

struct ConsumerState {
  Consumer spec{};
  std::vector<ResidentId> residents{};
  DeviceUsage primary_usage{};              // on spec.device
  std::vector<DeviceUsage> other_usages{};  // split over several: on each of the others, in their order
  std::uint32_t running_leases = 0;         // leases
  std::uint32_t promised_tickets =
      0;  // tickets that room is being made or a resident loaded for; their working is reserved
  std::uint32_t waiting_tickets = 0;  // tickets in the line
  Bytes leased_bytes{};               // lease_only: sum of its leases' and promises' reservations
  Bytes learned_working{};            // of one running job, where it was seen to be more than declared
  // Who came next on the device after this one had worked: how often, lately.
  std::map<ConsumerId, double> successors{};
};

struct Registry {
  std::vector<Device> devices{};           // by DeviceId
  std::vector<Reading> readings{};         // by DeviceId, the last one; taken = 0: none yet
  std::vector<ConsumerState> consumers{};  // by ConsumerId
  std::vector<Resident> residents{};       // by ResidentId
  std::vector<Bytes> bare_reserved{};      // by DeviceId: reserved by bare leases and promises
  Bytes park_memory{};  // host memory that parked residents may hold together; 0: none park

  const Resident& operator[](ResidentId id) const { return residents[id.value]; }
  Resident& operator[](ResidentId id) { return residents[id.value]; }
  const ConsumerState& operator[](ConsumerId id) const { return consumers[id.value]; }
  ConsumerState& operator[](ConsumerId id) { return consumers[id.value]; }
};

// Adds a consumer without residents.
ConsumerId add_consumer(Registry& registry, Consumer spec);
ResidentId add_resident(Registry& registry, ConsumerId consumer, std::string ai_model, Bytes footprint);

// The devices that it is on: one, or all that it is split over.
std::span<const DeviceId> devices_of(const Consumer& consumer);

// The same for whoever asks: the device asked for, or all that the consumer is split over.
std::span<const DeviceId> devices_of(const Registry& registry, const TicketRequest& request);
bool is_on_device(const Consumer& consumer, DeviceId device);
bool is_on_device(const Registry& registry, const TicketRequest& request, DeviceId device);

// What `whole` of its memory takes on the device, rounded up; nothing where it is not.
Bytes device_part(const Consumer& consumer, DeviceId device, Bytes total);

// How much the whole is, if its part on the device is so much; rounded up. REQUIRES: it is on the device.
Bytes total_from_part(const Consumer& consumer, DeviceId device, Bytes part);

// REQUIRES: it is on the device.
DeviceUsage& device_usage(ConsumerState& consumer, DeviceId device);
const DeviceUsage& device_usage(const ConsumerState& consumer, DeviceId device);

// By the last readings of all its devices.
Bytes measured_bytes(const ConsumerState& consumer);
Bytes unattributed_bytes(const ConsumerState& consumer);

// What one running job is expected to add.
Bytes working_per_job(const ConsumerState& consumer);

// What it should hold now, on all its devices: footprints of its residents in device memory, working memory
// of its leases.
Bytes held_bytes(const Registry& registry, const ConsumerState& consumer);

// What was promised and is not there yet: footprints of residents that tickets are made ready for (one that
// is still leaving will be needed again once it has left), and the tickets' working memory. A promise
// reserves all that its ticket will need at once, so that room that is being made can't be taken by another.
Bytes promised_bytes(const Registry& registry, const ConsumerState& consumer);

// held + promised_bytes.
Bytes expected_bytes(const Registry& registry, const ConsumerState& consumer);

// Takes note of what the last measurement shows beyond explanation: memory of a dead process that lingers, a
// service that outgrew its footprint. It comes on top of whatever is loaded next. To be called after each
// reading of the device; while something loads the note stands, since nobody can tell old bytes from new
// ones.
void attribute_measurement(const Registry& registry, ConsumerState& consumer, DeviceId device);

// The same when the consumer's residents have left (one's footprint, or none: all with its process): what is
// still measured of them is explained no more. What was granted since the measurement explains nothing in it,
// so held() is no substitute.
void release_attribution(const Registry& registry, ConsumerState& consumer, std::optional<Bytes> footprint);

// Whether a resident of the consumer is in this state. One process' bytes can't be told apart, so nothing of
// a consumer is evicted while another of its residents loads, nor the other way round.
bool has_resident_in(const Registry& registry, const ConsumerState& consumer, Residency state);

// What must be counted as taken on a device: all that is measured, and all that is expected on top of what
// nothing explains.
Bytes committed_bytes(const Registry& registry, const ConsumerState& consumer, DeviceId device);

// Of all consumers and bare leases of a device.
Bytes committed_bytes(const Registry& registry, DeviceId device);

// What fits without evicting: total - reserve - foreign - committed. Negative where too much is taken.
Bytes headroom(const Registry& registry, DeviceId device);

// What growing by `more` (promised or loaded on top of what is expected now, on all its devices) adds to its
// commitment on this one. Measured memory beyond the expectation covers some of it.
Bytes commitment_growth(const Registry& registry, const ConsumerState& consumer, DeviceId device, Bytes more);

// Host memory that parked residents hold.
Bytes parked_bytes(const Registry& registry);

// Whether the resident is in device memory or on its way in or out.
bool holds_memory(const Resident& resident);

}  // namespace mgpu
