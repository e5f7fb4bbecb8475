// The last lines that a process wrote, stdout and stderr in one stream. Bounded in lines and in line length.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::runner {

class LogRing {
 public:
  static constexpr std::size_t kMaxLine = 4096;  // bytes; the rest of a longer line is dropped

  explicit LogRing(std::size_t max_lines) : max_lines_(max_lines) {}

  // The next piece of output; a line may be split between pieces. A carriage return ends a line, too
  // (progress bars).
  void append(std::string_view piece);

  // The newest `count` lines, oldest first, printable (base/sanitize.h), with an unfinished last line.
  std::vector<std::string> tail(std::size_t count) const;

 private:
  void end_line();

  std::size_t max_lines_;
  std::deque<std::string> lines_;
  std::string open_line_;
};

}  // namespace mgpu::runner
