// Scans multipart/form-data for the part named "model". The boundary is the body's first line, unless it is
// declared: then text before it (the preamble) is skipped. Parts before the wanted one may have any size: a
// string search (KMP) consumes their bytes and stores none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/scan_result.h"

namespace mgpu::gateway {

class MultipartScanner {
 public:
  MultipartScanner() = default;
  // `boundary`: as in the Content-Type header, for a body that begins with a preamble.
  explicit MultipartScanner(std::string boundary)
      : state_(State::preamble), declared_boundary_("--" + std::move(boundary)) {}

  // Consumes the byte at `offset` of the body.
  ScanStatus put(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus finish(ScanResult& result);

  // Between possible delimiters: bytes other than the delimiter's first may be skipped.
  bool can_skip_part() const { return state_ == State::content && matched_ == 0 && !is_model_part_; }
  char delimiter_first_byte() const { return delimiter_[0]; }

 private:
  static constexpr std::size_t kMaxBoundary = 256;
  static constexpr std::size_t kMaxPartHeaderLine = 8192;  // bytes

  enum class State : std::uint8_t { preamble, boundary, header, content, after_delimiter };

  ScanStatus end_preamble_line(ScanResult& result);
  ScanStatus end_boundary_line(ScanResult& result);
  ScanStatus end_header_line(std::uint64_t offset);
  ScanStatus put_content(char c, ScanResult& result);
  ScanStatus put_after_delimiter(char c, ScanResult& result);
  ScanStatus append_value(std::string_view bytes, ScanResult& result);
  ScanStatus end_part(bool last, ScanResult& result);

  State state_ = State::boundary;
  std::string declared_boundary_;           // with its "--"
  std::string line_;                        // the boundary, a header, or the text after a delimiter
  std::string delimiter_;                   // including the line break before it
  std::vector<std::size_t> failure_table_;  // KMP: of delimiter_
  std::size_t matched_ = 0;
  std::size_t header_break_bytes_ = 0;  // bytes of the match that are the headers' blank line, not content
  bool is_model_part_ = false;          // in the part named "model"
  std::string value_;
  std::uint64_t value_begin_ = 0;
};

// The boundary of a multipart/form-data Content-Type; empty if it is another type or has none.
std::string parse_boundary(std::string_view content_type);

// The `name` of a Content-Disposition header line, quoted or not; empty if the line is another header or has
// no name.
std::string parse_part_name(std::string_view header_line);

}  // namespace mgpu::gateway
