// Takes the framing off a message's body as it comes in, in pieces of any size. Pure. Everything it reads
// counts against a limit: the data against `max_data`, and what only frames it (chunk extensions, trailers)
// against `max_framing`, so that nobody can send without end for nothing.
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

// What is said of a body that is larger than limits.max_body; code too_large.
Error body_too_large_error(std::uint64_t max_data);

class BodyDecoder {
 public:
  static BodyDecoder of_length(std::uint64_t length);  // also for no body: 0
  static BodyDecoder chunked(BodyLimits limits);       // RFC 9112, 7.1; trailers are read and dropped
  static BodyDecoder until_close();

  // Takes what `in` begins with, as much as belongs to the body, and appends the data in it to `out`: returns
  // how many bytes were taken. Errors: invalid_request (framing), too_large. After an error or after done()
  // nothing may be fed.
  Result<std::size_t> feed(std::string_view in, std::string& out);

  // The connection ended. Error: invalid_request (in the middle of the body).
  Result<void> end_of_input();

  bool is_complete() const { return state_ == State::done; }

  // Bytes that still belong to the body; none where only its end will tell.
  std::optional<std::uint64_t> remaining() const;

 private:
  enum class State : std::uint8_t {
    data_until_close,
    data_of_length,
    size,           // the digits of a chunk's size
    extension,      // what may follow them on their line
    size_line_end,  // its LF
    chunk_data,
    data_line_end_cr,
    data_line_end_lf,
    trailer,           // within a line
    trailer_begin,     // at the begin of a line
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
  std::uint64_t data_bytes_ = 0;  // taken so far
  int size_digits_ = 0;
  bool field_name_seen_ = false;  // in a trailer line: its colon
  std::size_t framing_bytes_ = 0;
  BodyLimits limits_{};
};

}  // namespace mgpu::http
