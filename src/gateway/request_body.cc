#include "gateway/request_body.h"

#include <utility>

#include "http/body_decoder.h"

namespace mgpu::gateway {

RequestBody::RequestBody(const config::LimitsConfig& limits, std::shared_ptr<BodyBudget> budget)
    : max_size_(limits.max_body),
      memory_limit_(static_cast<std::uint64_t>(limits.body_memory.count)),
      buffer_(limits.body_memory, std::move(budget)) {}

Awaitable<Result<std::string>> RequestBody::buffer_next_chunk(Caller& caller) {
  Result<std::string> chunk = co_await caller.read();
  if (!chunk) co_return chunk;
  complete_ = chunk->empty();
  Result<void> buffered = count(chunk->size());
  if (buffered) buffered = buffer_.append(*chunk);
  if (!buffered) co_return std::unexpected(buffered.error());
  co_return chunk;
}

Awaitable<Result<void>> RequestBody::buffer_until_full(Caller& caller) {
  complete_ |= caller.head.length == 0;
  while (!complete_ && buffer_.original_size() < memory_limit_) {
    Result<std::string> chunk = co_await buffer_next_chunk(caller);
    if (!chunk) co_return std::unexpected(chunk.error());
  }
  co_return Result<void>{};
}

Result<void> RequestBody::pass_chunk(std::string_view chunk) {
  complete_ = chunk.empty();
  if (complete_) return {};
  Result<void> counted = count(chunk.size());
  if (!counted) return counted;
  replayable_ = replayable_ && buffer_.original_size() + chunk.size() <= memory_limit_ &&
                buffer_.append(chunk).has_value();
  return {};
}

Result<void> RequestBody::count(std::size_t bytes) {
  received_ += bytes;
  const auto limit = static_cast<std::uint64_t>(max_size_.count);
  if (received_ <= limit) return {};
  return std::unexpected(http::body_too_large_error(limit));
}

}  // namespace mgpu::gateway
