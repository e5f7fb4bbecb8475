// Inputs of the property tests: a machine with one or two devices, and its requests. They consist of small
// numbers, so that rapidcheck can draw, shrink and print them.
//
// src/replay runs them with the real `step` in virtual time: readings are correct and prompt, and loads,
// evictions and jobs take the times that the machine defines.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include <rapidcheck.h>

#include "replay/machine.h"
#include "replay/workload.h"

namespace mgpu::sim {

inline constexpr int kDeviceGib = 16;

// The device of a consumer. With one device all consumers are on it.
enum class Placement : std::uint8_t { first, second, split };

// A consumer. Every one that may be drawn fits its device if it is alone.
struct TestConsumer {
  Placement placement = Placement::first;
  int footprint_gib = 1;
  int working_gib = 0;
  int load_ms = 0;
  int unload_ms = 0;
  int ai_models = 1;
  int concurrency = 1;
  int priority = 0;  // a Priority (domain/consumer.h)
  int weight = 1;
  int max_turn_ms = 0;  // 0: no limit
  int run_ms = 0;       // learned duration of its jobs; 0: none
  int followed_by = 0;  // a consumer's number from 1; 0: none
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
  int overtake_ms = 0;  // overtake_limit; 0: depends on the costs of changes
  int ageing_ms = 0;
  int park_gib = 0;
  std::vector<TestConsumer> consumers{};
};

// A client that submits one ticket.
struct TestRequest {
  int at_ms = 0;
  int consumer_index = 0;  // modulo the number of consumers, so that every number is valid
  int ai_model_index = 0;
  int work_ms = 1;
  int priority = 0;  // a Priority from 1; 0: the consumer's
  int user = 0;
};

// Clients that submit the same request again after each end and a pause, until the horizon.
struct RepeatingClients {
  int clients = 1;
  int pause_ms = 0;
  TestRequest request{};
};

rc::Gen<TestConsumer> arbitrary_consumer();
rc::Gen<TestMachine> arbitrary_machine();
rc::Gen<TestRequest> arbitrary_request();
rc::Gen<std::vector<TestRequest>> arbitrary_requests();
rc::Gen<std::vector<RepeatingClients>> arbitrary_clients();

// For rapidcheck's output.
std::ostream& operator<<(std::ostream& out, const TestConsumer& consumer);
std::ostream& operator<<(std::ostream& out, const TestMachine& test_machine);
std::ostream& operator<<(std::ostream& out, const TestRequest& request);
std::ostream& operator<<(std::ostream& out, const RepeatingClients& repeating);

// The core has learned all costs already.
replay::Machine to_machine(const TestMachine& test_machine);

// No ticket arrives after `horizon`.
replay::Workload to_workload(const TestMachine& test_machine, const replay::Machine& machine,
                             const std::vector<TestRequest>& requests,
                             const std::vector<RepeatingClients>& repeating, Duration horizon);

}  // namespace mgpu::sim
