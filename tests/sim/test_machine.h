// What the properties of the core are tried on: a household on one device or two, and those who ask it for
// something. Small plain numbers, so that rapidcheck can draw them, shrink them, and print what is left of
// them.
//
// They are lived through by src/replay: the real `step` in virtual time, readings that are true and come at
// once, loads, evictions and jobs that take what the household says they take.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include <rapidcheck.h>

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::sim {

inline constexpr int kDeviceGib = 16;

// Where a member is. In a household with one device all are there.
enum class Placement : std::uint8_t { first, second, split };

// A consumer. Whatever may be drawn fits its device by itself.
struct TestConsumer {
  Placement placement = Placement::first;
  int footprint_gib = 1;
  int working_gib = 0;
  int load_ms = 0;
  int unload_ms = 0;
  int ai_models = 1;
  int concurrency = 1;
  int priority = 0;  // of domain/consumer.h
  int weight = 1;
  int max_turn_ms = 0;  // 0: no bound
  int run_ms = 0;       // what its jobs are known to take; 0: that is to be learned
  int followed_by = 0;  // a member's number from 1; 0: nobody
  bool exclusive = false;
  bool turnless = false;
  bool lease_only = false;
  bool parks = false;
};

struct TestMachine {
  int devices = 1;
  int capacity = 1;
  bool fifo = false;
  bool load_ahead = false;
  int overtake_ms = 0;  // overtake_limit; 0: it follows what changes cost
  int ageing_ms = 0;
  int park_gib = 0;
  std::vector<TestConsumer> consumers{};
};

// Somebody who asks once.
struct TestRequest {
  int at_ms = 0;
  int consumer_index = 0;  // counted around, so that every number is somebody
  int ai_model_index = 0;
  int work_ms = 1;
  int priority = 0;  // from 1; 0: its member's
  int user = 0;
};

// So many who ask, and ask again as soon as they have been served and paused, until the end.
struct RepeatingClients {
  int clients = 1;
  int pause_ms = 0;
  TestRequest request{};  // the first
};

rc::Gen<TestConsumer> arbitrary_consumer();
rc::Gen<TestMachine> arbitrary_machine();
rc::Gen<TestRequest> arbitrary_request();
rc::Gen<std::vector<TestRequest>> arbitrary_requests();
rc::Gen<std::vector<RepeatingClients>> arbitrary_clients();

// rapidcheck prints with these.
std::ostream& operator<<(std::ostream& out, const TestConsumer& consumer);
std::ostream& operator<<(std::ostream& out, const TestMachine& test_machine);
std::ostream& operator<<(std::ostream& out, const TestRequest& request);
std::ostream& operator<<(std::ostream& out, const RepeatingClients& repeating);

// The house, with all costs known to the core as if from an earlier life.
replay::Machine to_machine(const TestMachine& test_machine);

// Nobody asks for anything after `horizon`.
replay::Workload to_workload(const TestMachine& test_machine, const replay::Machine& machine,
                             const std::vector<TestRequest>& requests,
                             const std::vector<RepeatingClients>& repeating, Duration horizon);

}  // namespace mgpu::sim
