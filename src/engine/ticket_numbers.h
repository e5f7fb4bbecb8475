// The numbers of tickets. None comes back after a restart, so that a client of an earlier life can't release
// the lease of another: a number is epoch * 1,000,000,000 + n, where n counts from 1 in each epoch. It stays
// below 2^53, exact in every JSON reader, for nine million epochs. The core takes the numbers as they come.
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
  // `begin_epoch` returns an epoch that it has not returned before, in this life or an earlier one. It is
  // called at once, and again when all numbers of an epoch are used up.
  explicit TicketNumbers(std::function<store::Epoch()> begin_epoch);

  TicketId next();

  std::uint64_t epoch() const { return first_epoch_.number; }  // of this start

  // Whether an earlier start of the daemon gave the number out, or may have.
  bool is_of_earlier_start(TicketId ticket) const;

 private:
  static std::uint64_t last_before(const store::Epoch& epoch);

  std::function<store::Epoch()> begin_epoch_;
  store::Epoch first_epoch_{};
  std::uint64_t last_ = 0;         // number that was given out
  std::uint64_t last_usable_ = 0;  // of the present epoch
};

}  // namespace mgpu::engine
