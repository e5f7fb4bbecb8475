// Decodes a message's body incrementally, in pieces of any size. Pure. Every byte counts against a limit:
// data against `max_data`, chunk extensions and trailers against `max_framing`, so that the size of a body is
// bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mgpu::http {

struct BodyLimits {
  std::uint64_t max_data = std::numeric_limits<std::uint64_t>::max();
  std::size_t max_framing = 64 * 1024;
};

// The error for a body that is larger than limits.max_body (too_large).
Error body_too_large_error(std::uint64_t max_data);

class BodyDecoder {
 public:
  static BodyDecoder of_length(std::uint64_t length);  // 0: no body
  static BodyDecoder chunked(BodyLimits limits);       // RFC 9112, 7.1; trailers are dropped
  static BodyDecoder until_close();

  // Consumes the bytes of the body from the front of `in`, and appends the data in it to `out`. Returns the
  // number of bytes consumed. Errors: invalid_request (framing), too_large. REQUIRES: no error before, and
  // not is_complete().
  Result<std::size_t> feed(std::string_view in, std::string& out);

  // Reports the end of the connection. Error: invalid_request (within the body).
  Result<void> end_of_input();

  // Data then count against no limit; framing still does.
  void lift_data_limit() { limits_.max_data = std::numeric_limits<std::uint64_t>::max(); }

  bool is_complete() const { return state_ == State::done; }

  // How much of the body is still to come; none if that is not known before its end.
  std::optional<std::uint64_t> remaining() const;

 private:
  enum class State : std::uint8_t {
    data_until_close,
    data_of_length,
    size,           // the digits of a chunk size
    extension,      // after the size, up to the end of its line
    size_line_end,  // its LF
    chunk_data,
    data_line_end_cr,
    data_line_end_lf,
    trailer,           // within a line
    trailer_begin,     // at the beginning of a line
    trailer_line_end,  // its LF
    last_line_end,     // the LF of the empty line
    done,
  };

  explicit BodyDecoder(State state) : state_(state) {}
  Result<void> parse_framing_byte(char c);
  Result<void> parse_size_digit(char c);
  Result<void> count_framing();
  Result<void> begin_chunk();

  State state_;
  std::uint64_t remaining_ = 0;   // of the data of known length
  std::uint64_t data_bytes_ = 0;  // consumed so far
  int size_digits_ = 0;
  bool field_name_seen_ = false;  // in a trailer line: its colon
  std::size_t framing_bytes_ = 0;
  BodyLimits limits_{};
};

}  // namespace mgpu::http
