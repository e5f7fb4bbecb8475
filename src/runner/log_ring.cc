#include "runner/log_ring.h"

#include <algorithm>
#include <utility>

#include "base/sanitize.h"

namespace mgpu::runner {

void LogRing::append(std::string_view piece) {
  for (char c : piece) {
    if (c == '\n' || c == '\r') {
      end_line();
    } else if (open_line_.size() < kMaxLine) {
      open_line_ += c;
    }
  }
}

void LogRing::end_line() {
  if (open_line_.empty()) return;
  lines_.push_back(sanitize_text(std::exchange(open_line_, {})));
  while (lines_.size() > max_lines_) lines_.pop_front();
}

std::vector<std::string> LogRing::tail(std::size_t count) const {
  std::vector<std::string> all(lines_.begin(), lines_.end());
  if (!open_line_.empty()) all.push_back(sanitize_text(open_line_));
  if (all.size() > count) all.erase(all.begin(), all.end() - static_cast<std::ptrdiff_t>(count));
  return all;
}

}  // namespace mgpu::runner
