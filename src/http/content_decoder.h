// Decodes bodies sent with a Content-Encoding (RFC 9110, 8.4): gzip, deflate, zstd, br, and several of them
// applied one after the other. Incremental: memory does not depend on the size of the body, and a piece that
// unpacks to very much is returned in pieces of bounded size.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mgpu::http {

// One content coding. Not copied; used by one coroutine at a time.
class ContentCoding {
 public:
  virtual ~ContentCoding() = default;

  // Decodes from the front of `input`, which is advanced past what was consumed, and appends at most
  // `max_bytes` to `output`. Returns whether there may be more output without further input. Error:
  // invalid_request (not in this coding).
  virtual Result<bool> decode(std::string_view& input, std::string& output, std::size_t max_bytes) = 0;

  // Whether the input so far ends where a complete body may end.
  virtual bool is_complete() const = 0;
};

class ContentDecoder {
 public:
  // `content_encoding`: the header's value, all occurrences joined by ", ". Error: unknown_encoding, naming the
  // coding; invalid_request (more than three of them).
  static Result<ContentDecoder> make(std::string_view content_encoding);

  // The value of Accept-Encoding that tells clients what make() accepts.
  static std::string_view supported() { return "gzip, deflate, zstd, br"; }

  // Whether the body is not encoded at all ("" or "identity").
  bool is_identity() const { return codings_.empty(); }

  // Adds encoded bytes. REQUIRES: next() has returned an empty piece since the last feed().
  void feed(std::string encoded);

  // Returns the next decoded bytes; empty: feed() or finish() is next. Error: invalid_request.
  Result<std::string> next();

  // Call at the end of the encoded body. Error: invalid_request (it is cut off).
  Result<void> finish() const;

 private:
  struct Stage {
    std::unique_ptr<ContentCoding> coding;
    std::string input{};  // not consumed yet
    bool has_more = false;
  };
  Result<void> run(Stage& stage, std::string& output);

  std::vector<Stage> codings_{};  // in the order of decoding
  std::string plain_{};           // with is_identity()
};

}  // namespace mgpu::http
