// Assigns ticket numbers. No number is reused after a restart, so that a client of an earlier start can't
// release another client's lease: a number is epoch * 1,000,000,000 + n, where n counts from 1 in each epoch.
// Numbers stay below 2^53, exact in every JSON reader, for nine million epochs. The core does not interpret
// them.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <functional>

#include "domain/ticket.h"

#include "store/epoch.h"

namespace mgpu::engine {

inline constexpr std::uint64_t kTicketsPerEpoch = 1'000'000'000;

class TicketNumbers {
 public:
  // `begin_epoch` returns an epoch that no start of the daemon has used. It is called in the constructor, and
  // again when all numbers of an epoch are used.
  explicit TicketNumbers(std::function<store::Epoch()> begin_epoch);

  TicketId next();

  std::uint64_t epoch() const { return first_epoch_.number; }  // of this start of the daemon

  // Whether an earlier start of the daemon assigned the number, or may have.
  bool is_of_earlier_start(TicketId ticket) const;

 private:
  static std::uint64_t last_before(const store::Epoch& epoch);
  void continue_in(const store::Epoch& epoch);

  std::function<store::Epoch()> begin_epoch_;
  store::Epoch first_epoch_{};
  std::uint64_t last_ = 0;         // last number assigned
  std::uint64_t last_usable_ = 0;  // of the current epoch
};

}  // namespace mgpu::engine
