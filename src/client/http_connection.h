// One HTTP request to the daemon and its response, over a connection of its own. Calls block the thread; a
// stop request wakes it. Uses plain sockets, so that programs can link the library without Boost.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "client/response_parser.h"

#include "mgpu/client.h"

namespace mgpu::client {

// Owns a file descriptor. The destructor closes it.
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
  std::string extra_headers{};  // header lines, each ending in \r\n
};

class HttpConnection {
 public:
  // Connects, sends the request and reads the response's head. Failures: unavailable, cancelled,
  // invalid_request (the URL), internal (the server does not speak HTTP).
  static Outcome<HttpConnection> open(const std::string& url, const HttpRequest& request,
                                      const std::stop_token& stop);

  int status() const { return response_.status(); }
  int descriptor() const { return socket_.get(); }

  // Waits for the next line of the body and returns it without its line end; none at the end of the body.
  Outcome<std::optional<std::string>> next_line(const std::stop_token& stop);
  // The same without waiting. None with `pending` set: no complete line has arrived yet.
  Outcome<std::optional<std::string>> try_next_line(bool& pending);
  // Waits for the end of the body and returns what is left of it.
  Outcome<std::string> read_rest(const std::stop_token& stop);

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

Failure not_mgpu_failure(const std::string& url);

}  // namespace mgpu::client
