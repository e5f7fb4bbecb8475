// A daemon for tests: a script answers each connection, on a thread of its own.
#pragma once

#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mgpu::client {

class FakeDaemon {
 public:
  // The connection of one caller. All calls block.
  class Caller {
   public:
    explicit Caller(int fd) : fd_(fd) {}
    // Head and body of the request. Empty if the caller closed the connection.
    std::string read_request() {
      std::string text;
      std::size_t end = std::string::npos;
      while (end == std::string::npos || text.size() < end + 4 + content_length(text)) {
        char bytes[4096];
        const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
        if (n <= 0) return {};
        text.append(bytes, static_cast<std::size_t>(n));
        end = text.find("\r\n\r\n");
      }
      return text;
    }
    void send(const std::string& bytes) { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    void send_response(const std::string& status, const std::string& body) {
      send("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    void begin_stream() { send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); }
    void send_line(const std::string& line) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", line.size() + 1);
      send(size + line + "\n\r\n");
    }
    void wait_for_close() {
      char byte = 0;
      while (recv(fd_, &byte, 1, 0) > 0) {
      }
    }

   private:
    static std::size_t content_length(const std::string& text) {
      const std::size_t at = text.find("Content-Length: ");
      return at == std::string::npos ? 0 : std::stoul(text.substr(at + 16));
    }
    int fd_;
  };

  using Script = std::function<void(Caller&)>;

  explicit FakeDaemon(Script script)
      : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) std::abort();
    listen(listener_, 16);
    socklen_t size = sizeof at;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::thread([this] { accept_all(); });
  }
  ~FakeDaemon() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (std::thread& thread : caller_threads_) thread.join();
    close(listener_);
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  const std::string& url() const { return url_; }

 private:
  void accept_all() {
    for (int fd = 0; (fd = accept(listener_, nullptr, nullptr)) >= 0;) {
      caller_threads_.emplace_back([this, fd] {
        Caller caller(fd);
        script_(caller);
        close(fd);
      });
    }
  }

  Script script_;
  int listener_;
  std::string url_;
  std::thread thread_;
  std::list<std::thread> caller_threads_;  // used by thread_ only, until it has ended
};

}  // namespace mgpu::client
