// One request to the daemon and its answer, over a connection of its own. The calling thread blocks; a stop
// request wakes it. Plain sockets on purpose: the library can then be linked into any program without Boost.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "client/response_parser.h"

#include "mgpu/client.h"

namespace mgpu::client {

// A file descriptor that closes itself.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { close(); }
  int get() const { return fd_; }
  void close();

 private:
  int fd_;
};

struct HttpRequest {
  std::string method = "GET";
  std::string path{};
  std::string body{};           // JSON
  std::string extra_headers{};  // further lines, each with \r\n
};

class HttpConnection {
 public:
  // Connects, sends the request and reads the answer's head. Failures: unavailable, cancelled,
  // invalid_request.
  static Outcome<HttpConnection> open(const std::string& url, const HttpRequest& request,
                                      const std::stop_token& stop);

  int status() const { return response_.status(); }
  int descriptor() const { return socket_.get(); }

  // The next line of the body without its end; none at the body's end. Waits for it.
  Outcome<std::optional<std::string>> next_line(const std::stop_token& stop);
  // The same without waiting: an empty Outcome line is told apart by `pending_events`.
  Outcome<std::optional<std::string>> try_next_line(bool& pending);
  // The rest of the body.
  Outcome<std::string> read_rest(const std::stop_token& stop);

  void close() { socket_.close(); }

 private:
  HttpConnection(FileDescriptor socket, std::string url) : socket_(std::move(socket)), url_(std::move(url)) {}
  Outcome<void> send(const std::string& bytes, const std::stop_token& stop);
  Outcome<void> receive(const std::stop_token& stop);
  Outcome<void> receive_available();
  std::optional<std::string> take_line();

  FileDescriptor socket_;
  std::string url_;
  ResponseParser response_;
};

}  // namespace mgpu::client
