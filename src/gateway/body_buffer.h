// Buffers the part of a request's body that arrives before the request is granted its turn: in memory up to a
// limit, the rest in an unnamed file, which is freed with the buffer. The buffer is filled first and then
// read in order, with a few ranges replaced (an alias by the AI model's own name, a client's keep_alive).
//
// The file is written and read on the calling thread. This blocks on the page cache only, and only for bodies
// that are larger than the limit and name their AI model beyond it (an upload before its "model" part).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "gateway/scan_result.h"

namespace mgpu::gateway {

// The limits for all bodies together, in memory and in files. Shared with each body, since a request that is
// cancelled at shutdown may be destroyed last.
struct BodyBudget {
  std::uint64_t memory_left = 0;
  std::uint64_t disk_left = 0;
};

class BodyBuffer {
 public:
  // `memory_limit`: of this body; the file begins earlier when all bodies together have used up the budget.
  // `folder`: where the file is created. Empty: TMPDIR, or else /tmp.
  BodyBuffer(Bytes memory_limit, std::shared_ptr<BodyBudget> budget, std::string folder = {});
  BodyBuffer(BodyBuffer&& other) noexcept;
  BodyBuffer& operator=(BodyBuffer&&) = delete;
  ~BodyBuffer();

  // Errors: queue_full (the files together are at their limit, or the disk is full), internal (the file can't
  // be created or written).
  Result<void> append(std::string_view bytes);

  // An empty range inserts. REQUIRES: `range` is within the appended bytes and overlaps no earlier one, and
  // nothing was read yet.
  void replace(ByteRange range, std::string replacement);

  // The total number of bytes that read_next() returns, and the number without replace().
  std::uint64_t size() const;
  std::uint64_t original_size() const { return size_; }

  // Frees memory and file early. Nothing may be appended or read afterwards.
  void clear();

  // Restarts reading at the first byte, to send the request again.
  void rewind() { read_offset_ = 0, next_edit_ = 0, replacement_offset_ = 0; }

  // Returns the next bytes, at most `max_bytes` (more than 0); empty at the end. Error: internal.
  Result<std::string> read_next(std::size_t max_bytes);

 private:
  struct Edit {
    ByteRange range{};
    std::string replacement{};
  };

  Result<void> spill(std::string_view bytes);
  Result<std::string> read_at(std::uint64_t from, std::size_t count) const;

  std::size_t memory_limit_;
  std::shared_ptr<BodyBudget> budget_;
  std::string folder_;
  std::string memory_;
  int fd_ = -1;  // the bytes beyond memory_
  std::uint64_t disk_bytes_ = 0;
  std::uint64_t size_ = 0;
  std::vector<Edit> edits_;        // in order
  std::uint64_t read_offset_ = 0;  // of the original bytes
  std::size_t next_edit_ = 0;      // of edits_, the first that was not read to its end
  std::size_t replacement_offset_ = 0;
};

}  // namespace mgpu::gateway
