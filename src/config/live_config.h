// The configuration of a running daemon: an immutable value that is replaced whole. A reader takes a snapshot
// for one use or one request, and keeps neither references to its parts nor copies of them beyond that. Where
// a value is fixed for the whole run all the same, the header of the class that keeps it says so.
//
// Thread rule: the strand. A snapshot itself may go anywhere.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "config/config.h"
#include "config/id_table.h"

namespace mgpu::config {

// These keep the configuration alive that they were taken from.
using Snapshot = std::shared_ptr<const Config>;
using ConsumerSnapshot = std::shared_ptr<const ConsumerConfig>;

class LiveConfig {
 public:
  // REQUIRES: `ids` are those of `first` (assign_ids).
  LiveConfig(Config first, IdTable ids);

  Snapshot snapshot() const { return current_; }

  // Of a consumer that the present configuration does not have any more: the last that it had.
  ConsumerSnapshot consumer(ConsumerId id) const;
  std::size_t consumer_count() const { return consumers_.size(); }
  const IdTable& ids() const { return ids_; }

  // REQUIRES: `ids` were made from ids() and `next` (assign_ids).
  void replace(Config next, IdTable ids);

 private:
  Snapshot current_{};
  IdTable ids_{};
  std::vector<ConsumerSnapshot> consumers_{};  // by ConsumerId
};

}  // namespace mgpu::config
