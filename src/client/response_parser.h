// Reading an HTTP/1.1 answer out of the bytes of a connection, whatever pieces they come in. No I/O here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace mgpu::client {

class ResponseParser {
 public:
  // Takes the next bytes. False: this is no HTTP answer, or its header is over kMaxHeader.
  [[nodiscard]] bool feed(std::string_view bytes);
  // The connection was closed. False if the answer was not complete yet.
  [[nodiscard]] bool end_of_input();

  bool has_head() const { return state_ > State::head; }
  bool is_complete() const { return state_ == State::complete; }
  int status() const { return status_; }
  // By lower-case name; empty where there is none.
  std::string header(const std::string& name) const;
  // The decoded body so far; whoever reads it takes it out.
  std::string& body() { return body_; }

  static constexpr std::size_t kMaxHeader = 64 * 1024;

 private:
  enum class State { head, length, until_close, chunk_size, chunk_data, chunk_end, trailer, complete };

  bool parse_step();
  bool take_head();
  bool parse_head(std::string_view head);
  bool take_chunk_size();
  bool take_data(State next);
  bool take_line(std::string& line);

  State state_ = State::head;
  std::string buffer_;  // bytes not understood yet
  std::string body_;
  std::map<std::string, std::string> headers_;
  int status_ = 0;
  std::uint64_t remaining_ = 0;  // of the body or the chunk
  bool malformed_ = false;
};

}  // namespace mgpu::client
