// The part of a request's body that arrives before the request has its turn: in memory up to a limit, the
// rest in a file without a name, which vanishes with the buffer. It is filled first and then read in order,
// with at most one range replaced (an alias by the AI model's own name).
//
// The file is written and read on the calling thread. That blocks only for the page cache, and only for
// bodies that are larger than the limit and name their AI model behind it (an upload before its "model"
// part).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "gateway/scan_result.h"

namespace mgpu::gateway {

// What all bodies together may take, in memory and in files. Shared with each of them, since a request that
// is cut off at the end of the daemon may be destroyed after everything else.
struct BodyBudget {
  std::uint64_t memory_left = 0;
  std::uint64_t disk_left = 0;
};

class BodyBuffer {
 public:
  // `memory_limit`: of this body; where all together have used up the budget's, the file begins earlier.
  // `folder`: where the file is made, if any. Empty: TMPDIR, or else /tmp.
  BodyBuffer(Bytes memory_limit, std::shared_ptr<BodyBudget> budget, std::string folder = {});
  BodyBuffer(BodyBuffer&& other) noexcept;
  BodyBuffer& operator=(BodyBuffer&&) = delete;
  ~BodyBuffer();

  // Errors: queue_full (all files together are at their limit, or the disk is full), internal (no file can be
  // made or written).
  Result<void> append(std::string_view bytes);

  // REQUIRES: `range` lies in what was appended, nothing was read yet, and this is called at most once.
  void replace(ByteRange range, std::string replacement);

  // What read_next() gives in all, and what it would have given without replace().
  std::uint64_t size() const {
    return size_ - (replaced_range_.end - replaced_range_.begin) + replacement_.size();
  }
  std::uint64_t original_size() const { return size_; }

  // Frees memory and file early. Nothing may be appended or read any more.
  void clear();

  // Reading starts again from the first byte: a request is sent once more.
  void rewind() { read_offset_ = 0, replacement_offset_ = 0; }

  // The next bytes, at most `max_bytes` (more than 0) of them; empty at the end. Error: internal.
  Result<std::string> read_next(std::size_t max_bytes);

 private:
  Result<void> spill(std::string_view bytes);
  Result<std::string> read_at(std::uint64_t from, std::size_t count) const;

  std::size_t memory_limit_;
  std::shared_ptr<BodyBudget> budget_;
  std::string folder_;
  std::string memory_;
  int fd_ = -1;  // holds what comes after memory_
  std::uint64_t disk_bytes_ = 0;
  std::uint64_t size_ = 0;
  ByteRange replaced_range_;
  std::string replacement_;        // in place of replaced_range_
  std::uint64_t read_offset_ = 0;  // of the original bytes
  std::size_t replacement_offset_ = 0;
};

}  // namespace mgpu::gateway
