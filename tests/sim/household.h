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
enum class Home : std::uint8_t { first, second, split };

// A consumer. Whatever may be drawn fits its device by itself.
struct Member {
  Home home = Home::first;
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

struct Household {
  int devices = 1;
  int capacity = 1;
  bool fifo = false;
  bool load_ahead = false;
  int overtake_ms = 0;  // overtake_limit; 0: it follows what changes cost
  int ageing_ms = 0;
  int park_gib = 0;
  std::vector<Member> members{};
};

// Somebody who asks once.
struct Request {
  int at_ms = 0;
  int member = 0;  // counted around, so that every number is somebody
  int ai_model = 0;
  int work_ms = 1;
  int priority = 0;  // from 1; 0: its member's
  int user = 0;
};

// So many who ask, and ask again as soon as they have been served and paused, until the end.
struct Regulars {
  int clients = 1;
  int pause_ms = 0;
  Request request{};  // the first
};

rc::Gen<Member> some_member();
rc::Gen<Household> some_household();
rc::Gen<Request> some_request();
rc::Gen<std::vector<Request>> some_requests();
rc::Gen<std::vector<Regulars>> some_regulars();

// rapidcheck prints with these.
std::ostream& operator<<(std::ostream& out, const Member& member);
std::ostream& operator<<(std::ostream& out, const Household& household);
std::ostream& operator<<(std::ostream& out, const Request& request);
std::ostream& operator<<(std::ostream& out, const Regulars& regulars);

// The house, with all costs known to the core as if from an earlier life.
replay::Machine built(const Household& household);

// Nobody asks for anything after `horizon`.
replay::Workload asked(const Household& household, const replay::Machine& house,
                       const std::vector<Request>& requests, const std::vector<Regulars>& regulars,
                       Duration horizon);

}  // namespace mgpu::sim
