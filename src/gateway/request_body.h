// The body of one request: buffered while the request waits for its turn, afterwards passed from the client
// to the service. Counts all bytes against limits.max_body, and records whether the whole body is still
// buffered, so that the request can be sent again.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.h"
#include "gateway/body_buffer.h"
#include "gateway/transport.h"

namespace mgpu::gateway {

class RequestBody {
 public:
  RequestBody(const config::LimitsConfig& limits, std::shared_ptr<BodyBudget> budget);

  // Before the turn: reads the next chunk of the body into the buffer and returns it; empty at the end.
  // Errors: those of Caller::read, too_large (limits.max_body), and those of BodyBuffer::append.
  Awaitable<Result<std::string>> buffer_next_chunk(Caller& caller);

  // Before the turn: reads until the body is complete, or until limits.body_memory is reached. Errors: as
  // above.
  Awaitable<Result<void>> buffer_until_full(Caller& caller);

  // During the turn: records a chunk that is passed from the client to the service; empty at the end.
  // Buffered only within limits.body_memory. Error: too_large.
  Result<void> pass_chunk(std::string_view chunk);

  // A body that is passed on as it arrives may be larger than limits.max_body.
  void lift_limit() { max_size_ = Bytes{std::numeric_limits<std::int64_t>::max()}; }

  bool is_complete() const { return complete_; }                // the end of the body was received
  bool can_replay() const { return complete_ && replayable_; }  // all of it is in the buffer
  BodyBuffer& buffer() { return buffer_; }
  const BodyBuffer& buffer() const { return buffer_; }

 private:
  Result<void> count(std::size_t bytes);

  Bytes max_size_;
  std::uint64_t memory_limit_;
  BodyBuffer buffer_;
  std::uint64_t received_ = 0;
  bool complete_ = false;
  bool replayable_ = true;  // all bytes received so far are buffered
};

}  // namespace mgpu::gateway
