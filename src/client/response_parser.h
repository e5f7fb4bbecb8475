// Incremental parser of one HTTP/1.1 response. Does no I/O; the pieces that it is fed may be of any size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace mgpu::client {

class ResponseParser {
 public:
  // Parses the next bytes. False: they are no HTTP response, or the header is larger than kMaxHeader.
  [[nodiscard]] bool feed(std::string_view bytes);
  // To be called when the connection was closed. False: the response is incomplete.
  [[nodiscard]] bool end_of_input();

  bool has_head() const { return state_ > State::head; }
  bool is_complete() const { return state_ == State::complete; }
  int status() const { return status_; }
  // `name` in lower case; empty where there is no such header.
  std::string header(const std::string& name) const;
  // The part of the decoded body that the caller has not removed yet.
  std::string& body() { return body_; }

  static constexpr std::size_t kMaxHeader = 64 * 1024;  // bytes; also of a line between chunks

 private:
  enum class State { head, length, until_close, chunk_size, chunk_data, chunk_end, trailer, complete };

  bool parse_step();
  bool take_head();
  bool parse_head(std::string_view head);
  bool take_chunk_size();
  bool take_data(State next);
  bool take_line(std::string& line);

  State state_ = State::head;
  std::string buffer_;  // bytes not parsed yet
  std::string body_;
  std::map<std::string, std::string> headers_;
  int status_ = 0;
  std::uint64_t remaining_ = 0;  // bytes of the body or the chunk
  bool malformed_ = false;
};

}  // namespace mgpu::client
