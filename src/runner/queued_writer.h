// Output on its way to a pipe, terminal or file that may be slow, stuck or gone: a bounded queue that a
// thread of its own empties, so that whoever writes never waits for whoever reads. What does not fit is
// dropped and counted.
//
// Thread rule: append_entry() and dropped() may be called from any thread, the rest by the owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

inline constexpr std::size_t kMaxQueuedOutput = 1 << 20;  // bytes that may wait to be written, of each writer

class QueuedWriter {
 public:
  struct Options {
    // How long the destructor waits for what is queued. After that it is lost, and so is the thread where it
    // hangs in the kernel (a dead network folder).
    Duration flush_limit{50'000};
    // What is written once somebody reads again, by how many pieces were dropped meanwhile; empty: nothing.
    std::function<std::string(std::uint64_t pieces)> drop_note{};
  };

  // To a descriptor that stays open and the caller's. It is not made non-blocking: others may share it.
  static std::unique_ptr<QueuedWriter> for_descriptor(int descriptor, Options options);

  // To the end of a file, which is made where it is missing. A FIFO that nobody reads yet, and a folder that
  // does not answer, are no errors: the file is opened when it can be. Error: load_failed, in the system's
  // words.
  static Result<std::unique_ptr<QueuedWriter>> open(std::string path, Options options);

  ~QueuedWriter();
  QueuedWriter(const QueuedWriter&) = delete;
  QueuedWriter& operator=(const QueuedWriter&) = delete;

  void write(std::string piece);
  std::uint64_t dropped() const;  // pieces, ever

 private:
  struct State;
  explicit QueuedWriter(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the thread, which may be stuck when we go
};

}  // namespace mgpu::runner
