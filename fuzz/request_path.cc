// libFuzzer: the whole path of a request in one process, a real server, gateway and client over loopback,
// with an engine that grants as it is told. The input is a list of small commands: what the client and the
// service send, when either closes, when the turn comes or ends. Whatever it says, afterwards everything is
// back: no handler runs, no lease is held, no request waits, no connection and no descriptor is left.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "gateway/gateway.h"
#include "http/client.h"
#include "http/server.h"

namespace mgpu::path {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using gateway::Awaitable;

constexpr std::size_t kMaxClients = 4;  // of clients
constexpr int kMaxPauses = 3;           // each takes real time
constexpr auto kPause = 8ms;

constexpr std::array<std::string_view, 24> kClientMessages{
    "GET /c/chat/x HTTP/1.1\r\nHost: m\r\n\r\n",
    "GET /c/chat/x HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nContent-Length: 9000\r\n\r\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX-A: b\r\n\r\n",
    "hello",
    "5;a=\"b\"\r\nhello\r\n",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "GET /c/chat/x HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n",
    "HEAD /c/chat/x HTTP/1.1\r\nHost: m\r\n\r\n",
    "GET /c/chat/x HTTP/1.0\r\n\r\n",
    "GET /c/chat/x HTTP/1.1\r\nHost: m\r\n\r\nGET /c/chat/y HTTP/1.1\r\nHost: m\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: 31\r\n\r\n{\"model\":\"ch",
    "at\",\"prompt\":\"abc\"}",
    "POST /v1/chat/completions HTTP/1.1\r\nHost: m\r\nContent-Length: 16\r\n\r\n{\"model\":\"chat\"}",
    "POST /c/chat/x HTTP/1.1\r\nHost: m\r\nContent-Length: 99999999\r\n\r\n",
    "POST /c/chat/free/x HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nhe",
    "GET /v1/models HTTP/1.1\r\nHost: m\r\n\r\n",
    "POST /nothing HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nhel"};

constexpr std::array<std::string_view, 20> kServiceMessages{
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nX-A: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.1 503 Busy\r\nContent-Length: 18\r\n\r\nCUDA out of memory",
    "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.0 200 OK\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"};

sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// One end that we play.
class SocketPeer {
 public:
  explicit SocketPeer(int fd) : fd_(fd) {
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;
  ~SocketPeer() { close(); }

  void send(std::string_view bytes) {
    if (fd_ >= 0) (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  // Whether there was something to hear.
  bool receive() {
    std::array<char, 16'384> buffer;
    return fd_ >= 0 && is_reading && ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0;
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    if (fd_ >= 0) ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void half_close() const {
    if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
  }

  bool is_reading = true;

 private:
  int fd_;
};

struct GatewayHarness {
  // What the engine would know.
  struct Lease {
    std::function<void(const Error&)> listener{};
  };
  config::ConsumerConfig consumer{
      .name = "chat", .service = {.type = config::ServiceType::generic, .free_paths = {"/free/*"}}};
  config::LimitsConfig limits;
  bool grants_leases = true;
  int active_handlers = 0, open_leases = 0, waiting = 0;
  std::list<std::weak_ptr<Lease>> granted;

  asio::io_context io{1};
  asio::steady_timer grant_timer{io, asio::steady_timer::time_point::max()};
  int listen_fd = -1;
  http::Endpoint service_endpoint{.host = "127.0.0.1"};
  std::unique_ptr<http::Client> client;
  std::unique_ptr<gateway::Gateway> gateway;
  std::unique_ptr<http::Server> server;
  std::list<SocketPeer> clients, services;

  GatewayHarness() {
    limits.max_header = kKiB * 2;
    limits.max_body = kKiB * 100;
    limits.body_memory = kKiB * 4;
    limits.run_limit = limits.stall_limit = Duration{20'000};
    listen_fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback_address(0);
    ::bind(listen_fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listen_fd, 64);
    socklen_t size = sizeof address;
    ::getsockname(listen_fd, reinterpret_cast<sockaddr*>(&address), &size);
    service_endpoint.port = ntohs(address.sin_port);

    client = std::make_unique<http::Client>(io.get_executor());
    gateway = std::make_unique<gateway::Gateway>(engine_api(), gateway::make_connector(*client));
    http::ServerOptions options{.max_header = limits.max_header,
                                .max_body = limits.max_body,
                                .idle_limit = Duration{40'000},
                                .stall_limit = limits.stall_limit};
    auto started = http::Server::start(io, std::move(options),
                                       [this](http::Exchange& exchange) { return handle(exchange); });
    MGPU_ASSERT(started, "a port is free");
    server = std::move(*started);
  }
  GatewayHarness(const GatewayHarness&) = delete;
  GatewayHarness& operator=(const GatewayHarness&) = delete;
  ~GatewayHarness() {
    if (listen_fd >= 0) ::close(listen_fd);
  }

  Awaitable<void> handle(http::Exchange& exchange) {
    ++active_handlers;
    const std::shared_ptr<void> handler_guard(nullptr, [this](void*) { --active_handlers; });
    const http::RequestHead& head = exchange.head();
    if (gateway->handles(head)) {
      Principal principal{.address = exchange.peer_address()};
      co_await gateway->serve(exchange, std::move(principal));
    } else {
      http::Headers none;
      std::string nothing = "nothing here";
      co_await http::send_response(exchange, 404, std::move(none), std::move(nothing));
    }
  }

  gateway::EngineApi engine_api() {
    const auto resolve = [](std::string_view name) -> Result<engine::Target> {
      if (name.empty() || name == "chat") return engine::Target{.consumer = {0}, .resident = ResidentId{0}};
      return fail(ErrorCode::not_found, "known is chat");
    };
    return {
        .resolve = resolve,
        .resolve_within = [resolve](ConsumerId, std::string_view name) { return resolve(name); },
        .find_consumer = [](std::string_view name) -> std::optional<ConsumerId> {
          return name == "chat" ? std::optional(ConsumerId{0}) : std::nullopt;
        },
        .config = [this] { return std::make_shared<const config::Config>(config::Config{.limits = limits}); },
        .config_of = [this](ConsumerId) { return std::make_shared<const config::ConsumerConfig>(consumer); },
        .ai_model_of = [](engine::Target) { return std::string{}; },
        .endpoint = [this](ConsumerId) { return std::optional(service_endpoint); },
        .acquire = [this](engine::Target, gateway::QueueOptions) { return acquire(); },
        .is_busy = [](ConsumerId) -> Awaitable<bool> { co_return false; },
        .report_suspect = [](ConsumerId, const std::string&) {},
        .is_warm = [](engine::Target) { return true; },
        .ensure_up = [](ConsumerId) -> Awaitable<Result<void>> { co_return Result<void>{}; },
        .unload = [](engine::Target, engine::UnloadWait) -> Awaitable<Result<bool>> { co_return true; },
        .set_keep_alive = [](engine::Target, Duration) {},
        .refresh_ai_models = [](ConsumerId) -> Awaitable<void> { co_return; },
        .refresh_all_ai_models = []() -> Awaitable<void> { co_return; },
        .count_retry = [] {},
        .list_models = [] { return std::vector<gateway::ListedModel>{{"chat", "chat", kGiB, true}}; }};
  }

  Awaitable<Result<gateway::LeaseHandle>> acquire() {
    ++waiting;
    const std::shared_ptr<void> waiting_guard(nullptr, [this](void*) { --waiting; });
    constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);
    while (!grants_leases) {
      co_await grant_timer.async_wait(kAsTuple);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none)
        co_return fail(ErrorCode::cancelled, "the caller went away");
    }
    ++open_leases;
    std::shared_ptr<Lease> lease(new Lease, [this](Lease* one) {
      delete one;
      --open_leases;
    });
    granted.push_back(lease);
    co_return make_lease_handle(std::move(lease));
  }

  static gateway::LeaseHandle make_lease_handle(std::shared_ptr<Lease> lease) {
    return {.ticket = 7,
            .guard = lease,
            .on_ended =
                [weak = std::weak_ptr(lease)](auto listener) {
                  if (const auto one = weak.lock()) one->listener = std::move(listener);
                },
            .reacquire = [lease] { return reacquire(lease); }};
  }
  static Awaitable<Result<gateway::LeaseHandle>> reacquire(std::shared_ptr<Lease> lease) {
    co_return make_lease_handle(lease);
  }

  void end_leases(ErrorCode code) {
    for (const auto& weak : std::exchange(granted, {}))
      if (const auto lease = weak.lock(); lease && lease->listener) {
        const auto tell = std::exchange(lease->listener, nullptr);
        tell({code, "its process ended"});
      }
  }
  void grant_waiting() {
    grants_leases = true;
    grant_timer.cancel();
  }

  // Until nothing moves any more.
  void poll_until_idle() {
    bool progressed = true;
    while (progressed) {
      progressed = io.poll() > 0;
      for (int fd = 0; listen_fd >= 0 && fd >= 0;) {
        fd = ::accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) services.emplace_back(fd);
        progressed |= fd >= 0;
      }
      for (SocketPeer& peer : clients) progressed |= peer.receive();
      for (SocketPeer& peer : services) progressed |= peer.receive();
    }
  }

  void run_for_pause() {
    io.run_for(kPause);
    poll_until_idle();
  }

  void connect() {
    if (clients.size() >= kMaxClients) return;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback_address(server->port());
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      ::close(fd);
      return;
    }
    clients.emplace_back(fd);
  }

  bool is_idle() const {
    return active_handlers == 0 && open_leases == 0 && waiting == 0 && server->connection_count() == 0;
  }

  // Whether everything is back before long. What needs no time is back at once.
  bool wait_until_idle() {
    poll_until_idle();
    const auto until = std::chrono::steady_clock::now() + 3s;
    while (!is_idle() && std::chrono::steady_clock::now() < until) {
      io.run_one_for(2ms);
      poll_until_idle();
    }
    return is_idle();
  }

  // The clients' going ends everything, whatever the service and the line do.
  void shut_down() {
    for (SocketPeer& peer : clients) peer.reset();
    if (!wait_until_idle()) {
      MGPU_ASSERT(waiting == 0, "no request waits in the line once the clients are gone");
      MGPU_ASSERT(open_leases == 0, "no lease is held once the clients are gone");
      MGPU_ASSERT(active_handlers == 0, "no handler runs once the clients are gone");
      MGPU_ASSERT(server->connection_count() == 0, "no connection is open once the clients are gone");
    }
    server->close();
    server.reset();
    poll_until_idle();
  }
};

// The input, taken byte by byte; 0 where it has ended.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t next_byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  std::string_view next_bytes(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

 private:
  std::string_view rest_;
};

void execute_command(GatewayHarness& harness, FuzzInput& input, int& pauses) {
  if (harness.clients.empty()) harness.connect();
  SocketPeer closed(-1);
  SocketPeer& client = harness.clients.empty() ? closed : harness.clients.back();
  SocketPeer& service = harness.services.empty() ? closed : harness.services.back();
  switch (input.next_byte() % 24) {
    case 0:
      return client.send(input.next_bytes(input.next_byte()));
    case 1:
      return service.send(input.next_bytes(input.next_byte()));
    case 2:
    case 3:
    case 4:
      return client.send(kClientMessages[input.next_byte() % kClientMessages.size()]);
    case 5:
    case 6:
    case 7:
      return service.send(kServiceMessages[input.next_byte() % kServiceMessages.size()]);
    case 8:
      return client.close();
    case 9:
      return client.reset();
    case 10:
      return client.half_close();
    case 11:
      return service.close();
    case 12:
      return service.reset();
    case 13:
      return service.half_close();
    case 14:
      return harness.connect();
    case 15:
      return harness.end_leases(input.next_byte() % 2 == 0 ? ErrorCode::service_down
                                                           : ErrorCode::out_of_memory);
    case 16:
      harness.grants_leases = false;
      return;
    case 17:
      return harness.grant_waiting();
    case 18:
      if (pauses++ < kMaxPauses) harness.run_for_pause();
      return;
    case 19:
      client.is_reading = !client.is_reading;
      return;
    case 20:
      service.is_reading = !service.is_reading;
      return;
    case 21:
      return client.send(std::string(input.next_byte() * std::size_t{2048}, 'x'));
    case 22:
      return service.send(std::string(input.next_byte() * std::size_t{2048}, 'y'));
    case 23:  // another one speaks
      if (!harness.clients.empty())
        harness.clients.splice(harness.clients.end(), harness.clients, harness.clients.begin());
      if (!harness.services.empty())
        harness.services.splice(harness.services.end(), harness.services, harness.services.begin());
      return;
    default:
      return;
  }
}

std::size_t count_open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace
}  // namespace mgpu::path

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static int inputs = 0;
  const bool checks_descriptors = ++inputs % 64 == 0;
  const std::size_t before = checks_descriptors ? mgpu::path::count_open_descriptors() : 0;
  {
    mgpu::path::GatewayHarness harness;
    mgpu::path::FuzzInput input(data, size);
    int pauses = 0;
    while (!input.empty()) {
      mgpu::path::execute_command(harness, input, pauses);
      harness.poll_until_idle();
    }
    harness.shut_down();
  }
  if (checks_descriptors)
    MGPU_ASSERT(mgpu::path::count_open_descriptors() == before, "no descriptor is left open");
  return 0;
}
