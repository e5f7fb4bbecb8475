// A lane runs one fault case after the other against the daemon. It plays the client on one socket, the
// service on others, and has a connection of its own to the control plane. Each lane has its own consumer, so
// that a turn that is not given back can be assigned to a case. One thread, one poll loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exchange_script.h"

namespace mgpu::faults {

enum class Side : std::uint8_t { client, service };
enum class Fault : std::uint8_t { none, cut, half, reset, stall, hang, delay, corrupt };
// in_turn: each side waits as its script says. client_first, service_first: that side does not wait.
enum class Order : std::uint8_t { in_turn, client_first, service_first };

std::string_view to_string(Side side);
std::string_view to_string(Fault fault);
std::string_view to_string(Order order);

struct FaultCase {
  std::uint16_t script_index = 0;
  Side side = Side::client;
  Fault fault = Fault::none;
  Order order = Order::in_turn;
  std::uint32_t at = 0;    // inject the fault after this many bytes of that side
  std::uint32_t seed = 0;  // selects the value of a corrupted byte
};

// `--only early-close --side client --fault cut --at 17`
std::string reproduction_options(const FaultCase& fault_case);

struct CaseTimeouts {
  std::chrono::milliseconds settle{1000};  // until no request is in flight and connections are closed
  std::chrono::milliseconds answer{8000};  // for an exchange without a fault
  std::chrono::milliseconds hang{3800};    // until a hanging side loses its turn (run_limit is 3 s)
};

struct CaseResult {
  std::string problem{};  // empty: passed
  std::string transcript{};
  bool poisoned = false;  // the daemon did not become idle: the lane can't be used any more
};

class Lane {
 public:
  Lane(unsigned number, CaseTimeouts limits);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  std::string name() const;
  std::uint16_t service_port() const;

  void set_daemon_port(std::uint16_t daemon_port);  // also after a restart of the daemon
  CaseResult run_case(const FaultCase& fault_case);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The number of bytes that a side sends in this exchange.
std::size_t bytes_to_send(const ExchangeScript& exchange, Side side);

}  // namespace mgpu::faults
