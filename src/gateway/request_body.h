// The body of one request: read from the client into a buffer while the request has no turn, read from the
// client on its way to the service afterwards. Counts every byte against limits.max_body, and knows whether
// the whole body is still at hand, so that the request can be sent once more.
#pragma once

#include <cstdint>
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

  // Before the turn: reads the next chunk of the body and keeps it. Returns it; empty at the end.
  // Errors: those of Caller::read, too_large (limits.max_body), and those of BodyBuffer::append.
  Awaitable<Result<std::string>> buffer_next_chunk(Caller& caller);

  // Before the turn: reads until the body is complete, or as much of it is here as limits.body_memory allows.
  // Errors: as above.
  Awaitable<Result<void>> buffer_until_full(Caller& caller);

  // With the turn: a chunk from the client goes to the service; empty at the end. It is kept only as far as
  // limits.body_memory allows. Error: too_large.
  Result<void> pass_chunk(std::string_view chunk);

  bool is_complete() const { return complete_; }                // nothing more comes from the client
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
  bool replayable_ = true;  // the buffer has all that came so far
};

}  // namespace mgpu::gateway
