#include "gateway/decode_body.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/ascii.h"
#include "http/content_decoder.h"

namespace mgpu::gateway {
namespace {

struct EncodedBody {
  std::function<Awaitable<Result<std::string>>()> read{};
  http::ContentDecoder decoder;
  bool ended = false;
};

// The next decoded piece; empty at the end.
Awaitable<Result<std::string>> read_decoded(std::shared_ptr<EncodedBody> body) {
  while (true) {
    Result<std::string> piece = body->decoder.next();
    if (!piece || !piece->empty() || body->ended) co_return piece;
    Result<std::string> encoded = co_await body->read();
    if (!encoded) co_return encoded;
    body->ended = encoded->empty();
    if (!body->ended) {
      body->decoder.feed(std::move(*encoded));
    } else if (Result<void> complete = body->decoder.finish(); !complete) {
      co_return std::unexpected(complete.error());
    }
  }
}

}  // namespace

Result<void> decode_body(Caller& caller) {
  if (caller.head.length == 0) return {};
  const std::string encoding = http::joined_header(caller.head.headers, "Content-Encoding");
  Result<http::ContentDecoder> decoder = http::ContentDecoder::make(encoding);
  if (!decoder) return std::unexpected(decoder.error());
  if (decoder->is_identity()) return {};
  std::erase_if(caller.head.headers,
                [](const auto& entry) { return equals_ignore_case(entry.first, "Content-Encoding"); });
  caller.head.length = std::nullopt;
  auto body = std::make_shared<EncodedBody>(std::move(caller.read), std::move(*decoder));
  caller.read = [body] { return read_decoded(body); };
  return {};
}

}  // namespace mgpu::gateway
