// The part of a request's body that came in before it was known who it is for: in memory up to a limit, the
// rest in a file without a name, which is gone when this is gone. Filled first, then taken out in order, with
// at most one span replaced on the way (an alias by the AI model's own name).
//
// The file is written and read on the caller's thread: it is the page cache that takes it, and only bodies
// larger than the limit whose AI model stands behind it (an upload before its "model" part) ever get there.
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

// What all bodies together may take, in memory and in files. Shared by them: a request that is cut off at the
// end of the daemon may go after everything else.
struct BodyBudget {
  std::uint64_t memory_left = 0;
  std::uint64_t disk_left = 0;
};

class BodyBuffer {
 public:
  // `in_memory`: of this one; where all together have used up theirs, it goes to the file earlier. `folder`:
  // where the file is made, if any. Empty: TMPDIR, or else /tmp.
  BodyBuffer(Bytes memory_limit, std::shared_ptr<BodyBudget> budget, std::string folder = {});
  BodyBuffer(BodyBuffer&& other) noexcept;
  BodyBuffer& operator=(BodyBuffer&&) = delete;
  ~BodyBuffer();

  // Errors: queue_full (all files together are at their limit, or the disk is full), internal (no file can be
  // made or written).
  Result<void> append(std::string_view bytes);

  // REQUIRES: `where` lies in what was appended, nothing was taken yet, and this is called at most once.
  void replace(ByteRange range, std::string replacement);

  // What take() gives in all, and what it would have given without replace().
  std::uint64_t size() const {
    return size_ - (replaced_range_.end - replaced_range_.begin) + replacement_.size();
  }
  std::uint64_t original_size() const { return size_; }

  // Gives everything back before the end of its life. Nothing may be appended or taken any more.
  void clear();

  // Starts again from the first byte: a request is sent once more.
  void rewind() { read_offset_ = 0, replacement_offset_ = 0; }

  // The next bytes, at most `at_most` (more than 0) of them; empty at the end. Error: internal.
  Result<std::string> read_next(std::size_t max_bytes);

 private:
  Result<void> spill(std::string_view bytes);
  Result<std::string> read_at(std::uint64_t from, std::size_t count) const;

  std::size_t memory_limit_;
  std::shared_ptr<BodyBudget> budget_;
  std::string folder_;
  std::string memory_;
  int fd_ = -1;  // holds what is behind memory_
  std::uint64_t disk_bytes_ = 0;
  std::uint64_t size_ = 0;
  ByteRange replaced_range_;
  std::string replacement_;        // stands in place of edited_
  std::uint64_t read_offset_ = 0;  // of the original bytes
  std::size_t replacement_offset_ = 0;
};

}  // namespace mgpu::gateway
