#include "client/http_connection.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/url.h"

namespace mgpu::client {
namespace {

constexpr int kConnectLimitMs = 5'000;
constexpr std::size_t kMaxBufferedBody = 16 * 1024 * 1024;  // bytes that were received and not read yet

const Failure kCancelled{"cancelled", "the caller requested a stop"};

Failure unavailable_failure(const std::string& url, const std::string& why) {
  return {"unavailable", "no answer from mgpu at " + url + ": " + why + " (is `mgpu serve` running?)"};
}

enum class WaitResult { ready, stopped, timed_out };

// Waits until the socket is ready for `events`, a stop is requested, or the limit (ms, -1 = none) passes.
WaitResult wait_for(int fd, short events, const std::stop_token& stop, int limit_ms) {
  const FileDescriptor stop_event(stop.stop_possible() ? eventfd(0, EFD_CLOEXEC) : -1);
  const std::stop_callback on_stop(stop, [&] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_event.get(), &one, sizeof one);
  });
  std::array<pollfd, 2> watched{{{fd, events, 0}, {stop_event.get(), POLLIN, 0}}};
  for (;;) {
    const int ready = poll(watched.data(), watched.size(), limit_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (stop.stop_requested()) return WaitResult::stopped;
    return ready == 0 ? WaitResult::timed_out : WaitResult::ready;
  }
}

// Without keepalive, the end of a host that can't close its connections any more would stay unnoticed.
void enable_keepalive(int fd) {
  const int on = 1;
  const int seconds = 20;
  const int probes = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Returns 0 or an errno: ECANCELED after a stop request, ETIMEDOUT after kConnectLimitMs.
int connect_within_limit(int fd, const addrinfo& to, const std::stop_token& stop) {
  if (connect(fd, to.ai_addr, to.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  switch (wait_for(fd, POLLOUT, stop, kConnectLimitMs)) {
    case WaitResult::stopped:
      return ECANCELED;
    case WaitResult::timed_out:
      return ETIMEDOUT;
    case WaitResult::ready:
      break;
  }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The addresses of a host; null: `error` says why. A name of /etc/hosts may stand for one address only, but
// localhost is both loopback addresses.
AddressList look_up(const std::string& host, const std::string& port, int& error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  return {error == 0 ? found : nullptr, freeaddrinfo};
}

std::string address_text(const addrinfo& address) {
  std::array<char, NI_MAXHOST> text{};
  getnameinfo(address.ai_addr, address.ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return address.ai_family == AF_INET6 ? "[" + std::string(text.data()) + "]" : text.data();
}

Outcome<FileDescriptor> connect_to(const std::string& url, const std::stop_token& stop) {
  const Outcome<HostPort> address = parse_url(url);
  if (!address) return address.failure();
  std::vector<std::string> hosts{address->host};
  if (address->host == "localhost") hosts = {"127.0.0.1", "::1"};
  int last_error = ECONNREFUSED;
  std::vector<std::string> failures;  // of each address
  for (const std::string& host : hosts) {
    int lookup_error = 0;
    const AddressList found = look_up(host, address->port, lookup_error);
    if (lookup_error != 0) return unavailable_failure(url, gai_strerror(lookup_error));
    for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
      FileDescriptor fd(
          socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol));
      const int error = fd.get() < 0 ? errno : connect_within_limit(fd.get(), *at, stop);
      if (error == ECANCELED) return kCancelled;
      if (error == 0) {
        enable_keepalive(fd.get());
        return fd;
      }
      failures.push_back(address_text(*at) + ": " + std::strerror(error));
      last_error = error;
    }
  }
  if (failures.size() < 2) return unavailable_failure(url, std::strerror(last_error));
  std::string all;
  for (const std::string& failure : failures) all += (all.empty() ? "" : ", ") + failure;
  return unavailable_failure(url, all);
}

std::string format_request(const HttpRequest& request, const std::string& host) {
  std::string text =
      request.method + " " + request.path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: mgpu-client\r\n";
  text += "Connection: close\r\n" + request.extra_headers;
  if (!request.body.empty()) text += "Content-Type: application/json\r\n";
  if (!request.body.empty() || request.method == "POST")
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  return text + "\r\n" + request.body;
}

}  // namespace

Failure not_mgpu_failure(const std::string& url) {
  return {"internal",
          "the server at " + url + " does not speak mgpu's protocol: check the URL (MGPU_URL, --url)"};
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void FileDescriptor::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Outcome<HttpConnection> HttpConnection::open(const std::string& url, const HttpRequest& request,
                                             const std::stop_token& stop) {
  if (stop.stop_requested()) return kCancelled;
  Outcome<FileDescriptor> socket = connect_to(url, stop);
  if (!socket) return socket.failure();
  const Outcome<HostPort> address = parse_url(url);
  HttpConnection connection(std::move(*socket), url);
  if (auto sent = connection.send(format_request(request, address->host + ":" + address->port), stop); !sent)
    return sent.failure();
  while (!connection.response_.has_head())
    if (auto received = connection.receive(stop); !received) return received.failure();
  return connection;
}

Outcome<std::optional<std::string>> HttpConnection::next_line(const std::stop_token& stop) {
  for (;;) {
    if (auto line = take_line()) return line;
    if (response_.is_complete()) return std::optional<std::string>();
    if (auto received = receive(stop); !received) return received.failure();
  }
}

Outcome<std::optional<std::string>> HttpConnection::try_next_line(bool& pending) {
  pending = false;
  for (;;) {
    if (auto line = take_line()) return line;
    if (response_.is_complete()) return std::optional<std::string>();
    pollfd watched{socket_.get(), POLLIN, 0};
    if (poll(&watched, 1, 0) == 0) {
      pending = true;
      return std::optional<std::string>();
    }
    if (auto received = receive_available(); !received) return received.failure();
  }
}

Outcome<std::string> HttpConnection::read_rest(const std::stop_token& stop) {
  while (!response_.is_complete())
    if (auto received = receive(stop); !received) return received.failure();
  return std::exchange(response_.body(), {});
}

Outcome<void> HttpConnection::send(const std::string& bytes, const std::stop_token& stop) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      if (wait_for(socket_.get(), POLLOUT, stop, -1) == WaitResult::stopped) return kCancelled;
    } else if (errno != EINTR) {
      return unavailable_failure(url_, std::strerror(errno));
    }
  }
  return {};
}

Outcome<void> HttpConnection::receive(const std::stop_token& stop) {
  if (wait_for(socket_.get(), POLLIN, stop, -1) == WaitResult::stopped) return kCancelled;
  return receive_available();
}

// Reads what has arrived, without waiting. Failures: unavailable (the connection ended before the response),
// internal (no HTTP).
Outcome<void> HttpConnection::receive_available() {
  std::array<char, 16 * 1024> bytes;
  const ssize_t n = recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n < 0) return unavailable_failure(url_, std::strerror(errno));
  if (n == 0) {
    if (response_.end_of_input()) return {};
    return unavailable_failure(url_, "it closed the connection before the end of its response");
  }
  if (!response_.feed({bytes.data(), static_cast<std::size_t>(n)}) ||
      response_.body().size() > kMaxBufferedBody)
    return not_mgpu_failure(url_);
  return {};
}

std::optional<std::string> HttpConnection::take_line() {
  std::string& body = response_.body();
  const std::size_t end = body.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = body.substr(0, end);
  body.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace mgpu::client
