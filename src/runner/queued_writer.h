// Writes to a pipe, terminal or file that may be slow, stuck or closed: a thread writes the pieces of a
// bounded queue, so that the caller never waits for a reader. Pieces that do not fit are dropped and counted.
//
// Thread rule: write() and dropped() may be called from any thread, the rest only by the owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

inline constexpr std::size_t kMaxQueuedOutput = 1 << 20;  // bytes in the queue of one writer

class QueuedWriter {
 public:
  struct Options {
    // How long the destructor waits until the queue is written. After that the queue is lost, and a thread
    // that hangs in the kernel (an unreachable network folder) is abandoned.
    Duration flush_limit{50'000};
    // Makes the text that is written before the next piece after `pieces` were dropped; empty: no text.
    std::function<std::string(std::uint64_t pieces)> drop_note{};
  };

  // Writes to a descriptor that the caller keeps open. It is not made non-blocking: other processes may share
  // it.
  static std::unique_ptr<QueuedWriter> for_descriptor(int descriptor, Options options);

  // Appends to a file, which is created if it is missing. A FIFO without a reader and a folder that does not
  // respond are no errors: the file is opened as soon as possible. Error: load_failed, with the system's
  // text.
  static Result<std::unique_ptr<QueuedWriter>> open(std::string path, Options options);

  ~QueuedWriter();
  QueuedWriter(const QueuedWriter&) = delete;
  QueuedWriter& operator=(const QueuedWriter&) = delete;

  void write(std::string piece);
  std::uint64_t dropped() const;  // pieces in total

 private:
  struct State;
  explicit QueuedWriter(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the thread, which may outlive the object
};

}  // namespace mgpu::runner
