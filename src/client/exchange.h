// One request to the daemon and its answer, over a connection of its own. The calling thread blocks; a stop
// request wakes it. Plain sockets on purpose: the library can then be linked into any program without Boost.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "client/answer.h"

#include "mgpu/client.h"

namespace mgpu::client {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close();

 private:
  int fd_;
};

struct Call {
  std::string method = "GET";
  std::string path{};
  std::string body{};    // JSON
  std::string header{};  // further lines, each with \r\n
};

class Exchange {
 public:
  // Connects, sends the request and reads the answer's head. Failures: unavailable, cancelled,
  // invalid_request.
  static Outcome<Exchange> begin(const std::string& url, const Call& call, const std::stop_token& stop);

  int status() const { return answer_.status(); }
  int descriptor() const { return socket_.get(); }

  // The next line of the body without its end; none at the body's end. Waits for it.
  Outcome<std::optional<std::string>> next_line(const std::stop_token& stop);
  // The same without waiting: an empty Outcome line is told apart by `pending_events`.
  Outcome<std::optional<std::string>> next_line_if_there(bool& pending);
  // The rest of the body.
  Outcome<std::string> rest(const std::stop_token& stop);

  void close() { socket_.close(); }

 private:
  Exchange(Descriptor socket, std::string url) : socket_(std::move(socket)), url_(std::move(url)) {}
  Outcome<void> send(const std::string& bytes, const std::stop_token& stop);
  Outcome<void> receive(const std::stop_token& stop);
  Outcome<void> take_bytes();
  std::optional<std::string> take_line();

  Descriptor socket_;
  std::string url_;
  AnswerReader answer_;
};

}  // namespace mgpu::client
