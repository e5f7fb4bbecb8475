// Looks through multipart/form-data for the part named "model". The boundary is the body's first line. Parts
// before it may be of any size: their bytes run through a string search (KMP, so that nothing is kept).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/scanner.h"

namespace mgpu::gateway {

class MultipartScanner {
 public:
  // The byte at offset `at` of the body.
  Search put(char c, std::uint64_t at, Finding& finding);
  Search end(Finding& finding);

  // Between possible delimiters: bytes that are not the delimiter's first may be passed over unseen.
  bool skims_part() const { return place_ == Place::content && matched_ == 0 && !wanted_; }
  char delimiter_start() const { return delimiter_[0]; }

 private:
  static constexpr std::size_t kMaxBoundary = 256;
  static constexpr std::size_t kMaxPartHeader = 8192;  // a line

  enum class Place : std::uint8_t { boundary, header, content, after_delimiter };

  Search boundary_known(Finding& finding);
  Search header_line(std::uint64_t at);
  Search put_content(char c, Finding& finding);
  Search put_after_delimiter(char c, Finding& finding);
  Search keep(std::string_view bytes, Finding& finding);
  Search part_ended(bool last, Finding& finding);

  Place place_ = Place::boundary;
  std::string line_;                   // of the boundary, a header, or what follows a delimiter
  std::string delimiter_;              // with the line break before it
  std::vector<std::size_t> fallback_;  // KMP: of delimiter_
  std::size_t matched_ = 0;
  std::size_t borrowed_ = 0;  // bytes of the match that are the headers' blank line, not content
  bool wanted_ = false;       // in the part named "model"
  std::string value_;
  std::uint64_t value_begin_ = 0;
};

// The `name` of a Content-Disposition header line, quoted or not; empty where the line is another header or
// has none.
std::string form_part_name(std::string_view header_line);

}  // namespace mgpu::gateway
