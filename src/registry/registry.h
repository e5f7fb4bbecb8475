// The registry: consumers, residents, devices, and their memory. It computes how many bytes are held,
// expected and committed. Lines and turns are in sched/world.h.
//
// The committed memory of a consumer is the larger of its measured and its expected memory. Memory that did
// not come free stays committed, even if the resident's state is cold.
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

// A consumer's memory on one of its devices.
struct DeviceUsage {
  Bytes measured{};        // by the last reading
  Bytes attributed{};      // its part of held_bytes at the last reading, minus what was evicted since
  Bytes unattributed{};    // measured, but neither attributed nor residue
  std::uint32_t jobs = 0;  // at most so many jobs ran when the last reading was taken
  // What of the measured bytes was there before the observed load (ConsumerState): at least and at most.
  Bytes earlier_at_least{}, earlier_at_most{};
};

// The latest load of a consumer. As long as nothing else of the consumer comes or goes, the bytes that were
// not there before are the loaded resident's.
struct ObservedLoad {
  ResidentId resident{};
  std::vector<ResidentId> beside{};  // what else of the consumer was in device memory when it began
  // When a reading changed the resident's learned footprint or working memory, and what they were before all
  // changes of the last seconds.
  Instant changed_at{};
  Bytes footprint_before{}, working_before{};
};

struct ConsumerState {
  Consumer spec{};
  std::vector<ResidentId> residents{};
  DeviceUsage primary_usage{};              // on spec.device
  std::vector<DeviceUsage> other_usages{};  // if split: on the other devices, in the order of spec.devices
  std::uint32_t running_leases = 0;
  std::uint32_t promised_tickets = 0;  // preparing: room is being made or a resident loaded for them
  std::uint32_t waiting_tickets = 0;   // in the line
  Bytes leased_bytes{};                // lease_only: reserved by its running leases and promised tickets
  Bytes learned_working{};             // working memory of one job, where more than declared was measured
  std::optional<ObservedLoad> observed_load{};
  Instant last_lease_end{};
  // How often, lately, the work of each consumer followed that of this one.
  std::map<ConsumerId, double> successors{};
};

struct Registry {
  std::vector<Device> devices{};           // by DeviceId
  std::vector<Reading> readings{};         // by DeviceId, the last one; taken_at = 0: none yet
  std::vector<ConsumerState> consumers{};  // by ConsumerId
  std::vector<Resident> residents{};       // by ResidentId
  std::vector<Bytes> bare_reserved{};      // by DeviceId: reserved by bare leases and promised bare tickets
  Bytes park_memory{};  // host memory for all parked residents together; 0: none are parked by the scheduler

  const Resident& operator[](ResidentId id) const { return residents[id.value]; }
  Resident& operator[](ResidentId id) { return residents[id.value]; }
  const ConsumerState& operator[](ConsumerId id) const { return consumers[id.value]; }
  ConsumerState& operator[](ConsumerId id) { return consumers[id.value]; }
};

// Adds a consumer without residents.
ConsumerId add_consumer(Registry& registry, Consumer spec);
ResidentId add_resident(Registry& registry, ConsumerId consumer, std::string ai_model, Bytes footprint);

// The devices that the consumer is on: one, or all that it is split over.
std::span<const DeviceId> devices_of(const Consumer& consumer);

// The devices that the ticket needs: the requested one, or all that its consumer is split over.
std::span<const DeviceId> devices_of(const Registry& registry, const TicketRequest& request);
bool is_on_device(const Consumer& consumer, DeviceId device);
bool is_on_device(const Registry& registry, const TicketRequest& request, DeviceId device);

// The part of `total` bytes of the consumer that is on the device, rounded up; 0 if it is not on the device.
Bytes device_part(const Consumer& consumer, DeviceId device, Bytes total);

// The inverse: the total for a given part on the device, rounded up. REQUIRES: the consumer is on the device.
Bytes total_from_part(const Consumer& consumer, DeviceId device, Bytes part);

// REQUIRES: the consumer is on the device.
DeviceUsage& device_usage(ConsumerState& consumer, DeviceId device);
const DeviceUsage& device_usage(const ConsumerState& consumer, DeviceId device);

// Sums over all its devices, by their last readings.
Bytes measured_bytes(const ConsumerState& consumer);
Bytes unattributed_bytes(const ConsumerState& consumer);

// Expected working memory of one running job.
Bytes working_per_job(const ConsumerState& consumer);

// What the consumer should hold now, on all its devices: footprints of its residents in device memory, and
// working memory of its leases.
Bytes held_bytes(const Registry& registry, const ConsumerState& consumer);

// What is reserved for its tickets, but not held yet: footprints of residents that must be loaded for them
// (one that is still unloading has to be loaded again), and their working memory. A promise reserves all that
// its ticket needs at once, so that no other ticket can take room that is being made for it.
Bytes promised_bytes(const Registry& registry, const ConsumerState& consumer);

// held_bytes + promised_bytes.
Bytes expected_bytes(const Registry& registry, const ConsumerState& consumer);

// Updates the attributed and unattributed bytes of the consumer on the device. Unattributed bytes (memory of
// a dead process, a service that outgrew its footprint) count in addition to whatever is loaded next. What
// its other residents leave unexplained is divided among the warm ones of unknown size, as their footprints.
// Call after each reading of the device. While a resident of the consumer loads, unattributed bytes only
// become fewer, because old bytes can't be distinguished from new ones.
void attribute_measurement(Registry& registry, ConsumerState& consumer, DeviceId device);

// Call when a resident has left (`footprint`), or all of them with their process (none): bytes that are still
// measured of them become unattributed; while another one loads, at most `footprint`. held_bytes can't
// replace this, because it includes leases that were granted after the reading.
void release_attribution(const Registry& registry, ConsumerState& consumer, std::optional<Bytes> footprint);

// Whether a resident of the consumer is in this state. The bytes of one process can't be divided among its
// residents, so no resident of a consumer is evicted while another one loads, and vice versa.
bool has_resident_in(const Registry& registry, const ConsumerState& consumer, Residency state);

// The consumer's committed memory on a device: the larger of the measured bytes, and the expected plus the
// unattributed ones.
Bytes committed_bytes(const Registry& registry, const ConsumerState& consumer, DeviceId device);

// The committed memory of all consumers and bare leases on a device.
Bytes committed_bytes(const Registry& registry, DeviceId device);

// What fits without evicting: total - reserve - foreign - committed. Negative if the device is overcommitted.
Bytes headroom(const Registry& registry, DeviceId device);

// By how much the consumer's committed memory on the device grows if its expected memory (on all its devices)
// grows by `more`. Measured memory beyond the expectation covers some of it.
Bytes commitment_growth(const Registry& registry, const ConsumerState& consumer, DeviceId device, Bytes more);

// After how long without work the resident is evicted: idle_unload, or what a client asked for, within its
// consumer's bound. None: never.
std::optional<Duration> idle_limit(const Registry& registry, const Resident& resident);

// Host memory held by parked residents.
Bytes parked_bytes(const Registry& registry);

// Whether the resident is in device memory, or being loaded or unloaded.
bool holds_memory(const Resident& resident);

// The consumer's residents that hold device memory, without `except`; in ascending order.
std::vector<ResidentId> residents_in_memory(const Registry& registry, const ConsumerState& consumer,
                                            std::optional<ResidentId> except = std::nullopt);

// Whether nothing is known about its size: not declared, estimated, reported or measured. Its first load gets
// all room that can be had.
bool is_size_unknown(const Resident& resident);

// The footprint to expect from the next load of a resident.
Bytes expected_footprint(const Resident& resident, FootprintDeclaration declaration);

// Whether it was ever seen in device memory. What never was is not loaded without need beside others.
bool was_seen_loaded(const Resident& resident);

}  // namespace mgpu
