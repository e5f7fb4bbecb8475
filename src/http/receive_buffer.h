// Bytes that were received and not consumed yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mgpu::http {

class ReceiveBuffer {
 public:
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }

  void append(std::string_view more) {
    if (begin_ > 0) bytes_.erase(0, begin_), begin_ = 0;
    bytes_ += more;
  }

  // Releases memory after a large message: there can be thousands of idle connections.
  void consume(std::size_t count) {
    begin_ += count;
    if (begin_ < bytes_.size()) return;
    begin_ = 0;
    if (bytes_.capacity() > kMaxIdleCapacity)
      bytes_ = std::string();
    else
      bytes_.clear();
  }

 private:
  static constexpr std::size_t kMaxIdleCapacity = 4096;
  std::string bytes_;
  std::size_t begin_ = 0;
};

}  // namespace mgpu::http
