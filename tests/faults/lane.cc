#include "lane.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <deque>
#include <list>
#include <optional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mgpu::faults {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Without a byte for this long, neither side continues on its own
constexpr auto kQuietPeriod = milliseconds(40);
constexpr auto kStallPeriod = milliseconds(60);
constexpr auto kDelay = milliseconds(4);
// Represents a case whose id may have been corrupted
constexpr std::string_view kCorruptedCase = "corrupted";
constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kSlowReadSize = 16 * 1024;  // of a slow reader, per millisecond

int listener_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(fd, 256);
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

// Connects from a loopback address of the lane's own, so that ephemeral ports do not run out.
int connect_to(std::uint16_t port, unsigned lane) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + lane);
  const int one = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return -1;
  }
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

// One end of a connection, and the position in its script.
struct Endpoint {
  int fd = -1;
  bool got_eof = false, got_reset = false;  // received from the daemon
  bool send_failed = false;                 // sending fails
  bool sent_fin = false;                    // this end has sent its FIN
  const Steps* steps = nullptr;
  std::size_t step = 0, offset = 0;
  Clock::time_point paused_until{};
  Clock::time_point stall_end{};  // time at which a stalled end is closed
  bool stalled = false, hanging = false, wants_write = false;

  bool is_open() const { return fd >= 0; }
  bool has_steps() const { return steps != nullptr && step < steps->size(); }
};

struct ServiceEndpoint : Endpoint {
  RequestReader reader{};
  std::string first_bytes{};  // buffered until it is known whether this is a health check
  bool is_probe = false, is_scripted = false;
  std::optional<std::size_t> current_message{};  // in reader.messages: the request being answered
  std::size_t answers_begun = 0;                 // number of answers begun
  std::size_t answers_sent = 0;                  // number of complete answers sent
  std::vector<std::size_t> request_numbers{};    // index in exchange.requests, by message
};

struct FaultInjection {
  bool fired = false;
  std::size_t sent = 0;
};

}  // namespace

std::string_view to_string(Side side) { return side == Side::client ? "client" : "service"; }
std::string_view to_string(Fault fault) {
  constexpr std::array<std::string_view, 8> kNames{"none",  "cut",  "half",  "reset",
                                                   "stall", "hang", "delay", "corrupt"};
  return kNames.at(static_cast<std::size_t>(fault));
}
std::string_view to_string(Order order) {
  constexpr std::array<std::string_view, 3> kNames{"in-turn", "client-first", "service-first"};
  return kNames.at(static_cast<std::size_t>(order));
}

std::string reproduction_options(const FaultCase& fault_case) {
  std::string line = fmt::format("--only {} --order {} --side {} --fault {} --at {}",
                                 all_scripts()[fault_case.script_index].name, to_string(fault_case.order),
                                 to_string(fault_case.side), to_string(fault_case.fault), fault_case.at);
  if (fault_case.fault == Fault::corrupt) line += fmt::format(" --seed {}", fault_case.seed);
  return line;
}

std::size_t bytes_to_send(const ExchangeScript& exchange, Side side) {
  const auto bytes_of = [](const Steps& steps) {
    std::size_t sum = 0;
    for (const Step& step : steps) sum += step.bytes.size();
    return sum;
  };
  if (side == Side::client) return bytes_of(exchange.client);
  std::size_t sum = 0;
  for (const ExpectedRequest& request : exchange.requests)
    for (const Steps& steps : request.attempts) sum += bytes_of(steps);
  return sum;
}

struct Lane::Impl {
  Impl(unsigned number, CaseTimeouts limits_) : lane_number(number), limits(limits_) {
    listener_fd = listener_on_loopback(service_port);
  }
  ~Impl() {
    if (listener_fd >= 0) ::close(listener_fd);
    if (control_fd >= 0) ::close(control_fd);
    for (ServiceEndpoint& end : services) close_endpoint(end);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // The lane number is in it twice, so that one corrupted byte never gives the name of another lane.
  std::string name() const { return fmt::format("lane{:02}{:02}", lane_number, 99 - lane_number); }

  // --- case ---

  CaseResult run_case(const FaultCase& fault_case) {
    current_case = fault_case;
    const std::string id = fmt::format("{:08x}", ++case_count);
    exchange = all_scripts()[current_case.script_index].make({.lane = name(), .id = id});
    transcript.clear();
    started = Clock::now();
    problem.clear();
    client = {};
    response = {};
    injection = {};
    attempt_counts.assign(exchange.requests.size(), 0);
    case_id = id;
    client_left = false;
    for (const ExpectedRequest& request : exchange.requests)
      response.sent_requests.push_back({request.method, request.upgrade, exchange.http_1_0});
    response.has_any_answer_count =
        (current_case.side == Side::client && current_case.fault == Fault::corrupt) ||
        (is_tunnel() && current_case.order == Order::client_first);
    client.steps = &exchange.client;
    client.fd = connect_to(daemon_port, lane_number);
    CaseResult outcome;
    if (client.fd < 0) {
      outcome.problem = fmt::format("the daemon refuses connections: {}", std::strerror(errno));
      outcome.poisoned = true;
      return outcome;
    }
    run_exchange();
    if (problem.empty()) check_result();
    const bool next_due = problem.empty() && client.is_open() && !client.got_eof && !is_client_faulted();
    if (next_due) send_next_request();
    close_endpoint(client);
    const std::string first_problem = problem;
    problem.clear();
    wait_until_idle();
    if (!first_problem.empty() && !problem.empty()) outcome.poisoned = true;
    if (!problem.empty() && problem.starts_with("turn:")) outcome.poisoned = true;
    problem = first_problem.empty() ? problem
              : problem.empty()     ? first_problem
                                    : first_problem + "; then " + problem;
    for (ServiceEndpoint& end : services) close_endpoint(end);
    services.clear();
    previous_case = reproduction_options(current_case);
    if (is_client_faulted() || client_left || !first_problem.empty()) abandoned_cases.push_back(case_id);
    if (current_case.side == Side::client && current_case.fault == Fault::corrupt)
      abandoned_cases.emplace_back(kCorruptedCase);
    while (abandoned_cases.size() > 10) abandoned_cases.pop_front();
    outcome.problem = problem;
    outcome.transcript = transcript;
    return outcome;
  }

  bool is_tunnel() const { return exchange.requests.back().status == 101; }
  bool is_client_faulted() const {
    return current_case.side == Side::client && current_case.fault != Fault::none &&
           current_case.fault != Fault::delay;
  }
  bool is_service_faulted() const {
    return current_case.side == Side::service && current_case.fault != Fault::none &&
           current_case.fault != Fault::delay;
  }
  bool has_faulty_side() const { return is_client_faulted() || is_service_faulted(); }

  // Runs both scripts until the exchange is over.
  void run_exchange() {
    const auto hard_limit = started + limits.answer;
    last_progress = Clock::now();
    bool released = false;
    Clock::time_point released_at{};
    while (true) {
      advance_scripts();
      if (is_over()) return;
      const auto now = Clock::now();
      const bool quiet = now - last_progress > kQuietPeriod && !is_any_side_paused(now);
      if (quiet && has_faulty_side() && !has_hanging_side() && !is_half_closed_at_end() &&
          close_faulted_side("quiet")) {
        released = true;  // the other side can end now
        released_at = last_progress = now;
      }
      if (has_hanging_side() && !released && now - last_progress > limits.hang) {
        // A connection without a request may stay open, but a turn must end.
        const std::string left = describe_in_flight();
        if (!left.empty() && !exchange.endless) return fail("a hanging side keeps its turn: " + left);
        close_faulted_side("hangs");
        released = true;
        released_at = last_progress = now;
      }
      if (released && now - released_at > limits.settle + milliseconds(500))
        return fail(client.is_open()
                        ? "hang: the client gets neither an answer nor the end of its connection"
                        : "hang: the service's connection stays open after the client has closed");
      if (now > hard_limit) return fail("hang: the exchange makes no progress");
      poll_once(milliseconds(10));
    }
  }

  // Closes the faulted side. Returns whether a connection was open.
  bool close_faulted_side(std::string_view why) {
    bool closed = false;
    const auto close_if_open = [&](Endpoint& end) {
      if (!end.is_open()) return;
      log_line("harness", fmt::format("{}: closes the faulted side", why));
      end.hanging = false;
      close_endpoint(end);
      closed = true;
    };
    if (current_case.side == Side::client) {
      close_if_open(client);
      client_left = true;
    }
    for (ServiceEndpoint& end : services)
      if (current_case.side == Side::service && end.is_scripted) close_if_open(end);
    return closed;
  }

  // A client that sent everything before it closed its sending side still expects its answer.
  bool is_half_closed_at_end() const {
    return current_case.side == Side::client && current_case.fault == Fault::half && !exchange.endless &&
           current_case.at >= bytes_to_send(exchange, Side::client);
  }

  bool has_hanging_side() const {
    return client.hanging ||
           std::ranges::any_of(services, [](const ServiceEndpoint& end) { return end.hanging; });
  }

  bool is_any_side_paused(Clock::time_point now) const {
    const auto is_paused = [&](const Endpoint& end) {
      return end.is_open() && (end.paused_until > now || (end.stalled && end.stall_end > now));
    };
    return is_paused(client) || std::ranges::any_of(services, is_paused);
  }

  bool has_all_answers() const {
    return !response.is_raw && response.complete_count() >= exchange.requests.size();
  }

  // Whether the client has all answers and has sent everything, or its connection ended; and no service is
  // still sending.
  bool is_over() {
    if (client.is_open()) {
      if (client.stalled || client.hanging) return false;
      if (!client.got_eof && !(has_all_answers() && !client.has_steps())) return false;
      if (client.got_eof) {
        response.end_of_stream(client.got_reset);
        client.send_failed = true;
      }
    }
    for (const ServiceEndpoint& end : services) {
      if (!end.is_open() || end.is_probe) continue;
      if (end.stalled || end.hanging) return false;
      if (client.is_open() && !client.got_eof && end.has_steps() && !end.send_failed) return false;
    }
    return true;
  }

  // --- scripts ---

  void advance_scripts() {
    bool moved = true;
    while (moved) {
      moved = advance_script(client, Side::client);
      for (ServiceEndpoint& end : services) moved |= serve_connection(end);
    }
  }

  // Advances the service on one of its connections.
  bool serve_connection(ServiceEndpoint& end) {
    if (!end.is_open()) return false;
    if (end.is_probe) return answer_probe(end);
    if (!end.is_scripted) return false;
    bool moved = false;
    if (!end.has_steps() && !end.stalled && !end.send_failed) {
      if (end.current_message) {
        ++end.answers_sent;
        end.current_message.reset();
        end.steps = nullptr;
      }
      if (end.answers_begun < end.reader.messages.size()) {
        begin_answer(end);
        moved = true;
      }
    }
    if (end.current_message || is_fault_due(Side::service)) moved |= advance_script(end, Side::service);
    if (end.is_open() && end.got_eof && (!end.has_steps() || end.send_failed || !end.steps)) {
      close_endpoint(end);
      moved = true;
    } else if (end.is_open() && end.got_eof && end.current_message) {
      // The daemon aborted the request: the rest of the answer has no receiver.
      end.send_failed = true;
      moved = true;
    }
    return moved;
  }

  void begin_answer(ServiceEndpoint& end) {
    const std::size_t at = end.answers_begun++;
    const std::string_view case_header = end.reader.messages[at].header("X-Case");
    std::size_t number = 0;
    const bool is_current_case = case_header.size() > 9 && case_header.substr(0, 8) == case_id;
    // After a client of an earlier case left, a request that the daemon had sent may remain in the socket.
    const auto was_abandoned = [&](std::string_view id) {
      return std::ranges::find(abandoned_cases, id) != abandoned_cases.end();
    };
    if (!is_current_case &&
        (was_abandoned(case_header.substr(0, std::min<std::size_t>(case_header.size(), 8))) ||
         was_abandoned(kCorruptedCase))) {
      log_line("service", "closes a connection of an earlier case");
      close_endpoint(end);
      end.is_probe = true;
      return;
    }
    if (is_current_case) number = static_cast<std::size_t>(case_header[9] - '0');
    if (!is_current_case && !(current_case.side == Side::client && current_case.fault == Fault::corrupt))
      fail(fmt::format("the service received a request of another case: X-Case {}; previous case: {}",
                       case_header, previous_case));
    if (number >= exchange.requests.size()) number = 0;
    end.request_numbers.resize(at + 1, number);
    const ExpectedRequest& expected = exchange.requests[number];
    end.current_message = at;
    end.offset = end.step = 0;
    static const Steps kNothing{send("HTTP/1.1 200 Not scripted\r\nContent-Length: 0\r\n\r\n")};
    const std::size_t attempt = attempt_counts[number]++;
    end.steps = expected.attempts.empty()
                    ? &kNothing
                    : &expected.attempts[std::min(attempt, expected.attempts.size() - 1)];
  }

  bool answer_probe(ServiceEndpoint& end) {
    bool moved = false;
    while (end.answers_sent < end.reader.complete_count()) {
      ++end.answers_sent;
      constexpr std::string_view kHealthy = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      if (::send(end.fd, kHealthy.data(), kHealthy.size(), MSG_NOSIGNAL) < 0) end.send_failed = true;
      moved = true;
    }
    if (end.got_eof || end.send_failed) {
      close_endpoint(end);
      moved = true;
    }
    return moved;
  }

  bool is_fault_due(Side side) const {
    return current_case.side == side && current_case.fault != Fault::none && !injection.fired &&
           injection.sent >= current_case.at;
  }

  bool advance_script(Endpoint& end, Side side) {
    bool moved = false;
    while (end.is_open() && !end.stalled && !end.hanging && end.paused_until <= Clock::now()) {
      end.wants_write = false;
      if (is_fault_due(side) && current_case.fault != Fault::corrupt) {
        inject_fault(end, side);
        moved = true;
        continue;
      }
      if (!end.has_steps() || end.send_failed || end.sent_fin) break;
      const Step& step = (*end.steps)[end.step];
      if (!run_step(end, side, step)) break;
      moved = true;
    }
    return moved;
  }

  // Runs one step or a part of it; false if it must wait.
  bool run_step(Endpoint& end, Side side, const Step& step) {
    switch (step.kind) {
      case Step::Kind::send:
        return send_part(end, side, step);
      case Step::Kind::wait:
        if (!is_wait_over(end, side, step)) return false;
        break;
      case Step::Kind::pause:
        end.paused_until = Clock::now() + milliseconds(step.pause_ms);
        break;
      case Step::Kind::shut_sending:
        log_line(to_string(side), "shuts its sending side");
        ::shutdown(end.fd, SHUT_WR);
        end.sent_fin = true;
        break;
      case Step::Kind::close:
        log_line(to_string(side), "closes");
        if (side == Side::service) ++static_cast<ServiceEndpoint&>(end).answers_sent;
        if (side == Side::client) client_left = true;
        close_endpoint(end);
        return true;
    }
    ++end.step;
    note_progress();
    return true;
  }

  bool is_wait_over(Endpoint& end, Side side, const Step& step) {
    if (side == Side::client) {
      if (current_case.order == Order::client_first) return true;
      return step.condition(WaitContext{.reader = response});
    }
    auto& service = static_cast<ServiceEndpoint&>(end);
    if (current_case.order == Order::service_first) return true;
    return step.condition(WaitContext{.reader = service.reader, .message_index = *service.current_message});
  }

  bool send_part(Endpoint& end, Side side, const Step& step) {
    std::string_view rest = std::string_view(step.bytes).substr(end.offset);
    const bool client_saw_close = side == Side::client && end.offset == 0 &&
                                  current_case.order != Order::client_first && !response.messages.empty() &&
                                  response.messages.back().complete &&
                                  response.messages.back().closes_connection();
    const bool refused = side == Side::client && is_tunnel() && current_case.order != Order::client_first &&
                         !response.messages.empty() && !response.is_raw;
    // The daemon announced the end of the connection, or refused the tunnel.
    if (client_saw_close || refused || rest.empty()) {
      if (client_saw_close || refused) end.step = end.steps->size() - 1;
      ++end.step;
      end.offset = 0;
      return true;
    }
    std::string changed;
    if (current_case.side == side && !injection.fired && current_case.fault != Fault::none) {
      const std::size_t until_fault = current_case.at - injection.sent;
      if (current_case.fault == Fault::corrupt && until_fault == 0) {
        changed = corrupt_byte(rest.front());
        rest = changed;
      } else {
        rest = rest.substr(0, until_fault);
      }
    }
    const ssize_t sent = ::send(end.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) {
        end.wants_write = true;
        return false;
      }
      log_line(to_string(side), fmt::format("can't send: {}", std::strerror(errno)));
      end.send_failed = true;
      return true;
    }
    log_bytes(to_string(side), rest.substr(0, static_cast<std::size_t>(sent)));
    const auto n = static_cast<std::size_t>(sent);
    end.offset += n;
    if (current_case.side == side) {
      if (!changed.empty()) injection.fired = true;
      injection.sent += n;
    }
    if (end.offset == step.bytes.size()) {
      ++end.step;
      end.offset = 0;
    }
    note_progress();
    return true;
  }

  std::string corrupt_byte(char was) {
    constexpr std::string_view kBad("\0\n\r :;,\t0f\x7f\xff", 12);
    const std::uint32_t choice = current_case.seed % 16;
    char becomes =
        choice < kBad.size() ? kBad[choice] : static_cast<char>(was ^ (1 << (current_case.seed / 16 % 8)));
    if (becomes == was) becomes = static_cast<char>(was ^ 1);
    log_line(to_string(current_case.side), fmt::format("corrupts \"{}\"", escaped({&was, 1})));
    return {becomes};
  }

  void inject_fault(Endpoint& end, Side side) {
    injection.fired = true;
    log_line(to_string(side),
             fmt::format("{} after {} bytes", to_string(current_case.fault), injection.sent));
    note_progress();
    switch (current_case.fault) {
      case Fault::none:
      case Fault::corrupt:
        return;
      case Fault::cut:
        return close_endpoint(end);
      case Fault::half:
        ::shutdown(end.fd, SHUT_WR);
        end.sent_fin = true;
        return;
      case Fault::reset: {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(end.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return close_endpoint(end);
      }
      case Fault::stall:
        end.stalled = true;
        end.stall_end = Clock::now() + kStallPeriod;
        return;
      case Fault::hang:
        end.hanging = true;
        return;
      case Fault::delay:
        end.paused_until = Clock::now() + kDelay;
        return;
    }
  }

  static void close_endpoint(Endpoint& end) {
    if (end.fd >= 0) ::close(end.fd);
    end.fd = -1;
  }

  // --- receiving ---

  void poll_once(milliseconds limit) {
    std::vector<pollfd> fds{{.fd = listener_fd, .events = POLLIN, .revents = 0}};
    std::vector<Endpoint*> ends{nullptr};
    const auto now = Clock::now();
    const auto watch = [&](Endpoint& end) {
      if (!end.is_open()) return;
      if (end.stalled && end.stall_end <= now) {
        log_line("harness", "the stalled side closes");
        close_endpoint(end);
        end.stalled = false;
        note_progress();
        return;
      }
      if (end.paused_until > now) {
        limit = std::min(limit, std::chrono::ceil<milliseconds>(end.paused_until - now));
        if (!end.hanging) return;
      }
      short events = end.hanging ? POLLRDHUP : POLLIN;
      if (end.stalled || end.got_eof) events = 0;
      if (end.wants_write && !end.stalled && !end.hanging) events = static_cast<short>(events | POLLOUT);
      if (events == 0) return;
      fds.push_back({.fd = end.fd, .events = events, .revents = 0});
      ends.push_back(&end);
    };
    watch(client);
    for (ServiceEndpoint& end : services) watch(end);
    if (::poll(fds.data(), fds.size(), static_cast<int>(limit.count())) <= 0) return;
    if (fds[0].revents != 0) accept_all();
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      if (ends[i]->hanging) {
        log_line("harness", "the daemon closes the hanging side");
        close_endpoint(*ends[i]);
        ends[i]->hanging = false;
        note_progress();
      } else if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(*ends[i]);
      }
    }
  }

  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      ServiceEndpoint& end = services.emplace_back();
      end.fd = fd;
      end.reader.is_upgrade = [this](const Message& request) {
        const std::string_view case_header = request.header("X-Case");
        const std::size_t number =
            case_header.size() > 9 ? static_cast<std::size_t>(case_header[9] - '0') : 0;
        return number < exchange.requests.size() && exchange.requests[number].status == 101;
      };
    }
  }

  void receive(Endpoint& end) {
    std::array<char, kReadSize> buffer;
    const bool slow = &end == &client && exchange.slow_reader;
    const ssize_t received = ::recv(end.fd, buffer.data(), slow ? kSlowReadSize : buffer.size(), 0);
    if (received < 0 && errno == EAGAIN) return;
    if (received <= 0) {
      end.got_eof = true;
      end.got_reset = received < 0;
      if (&end != &client && static_cast<ServiceEndpoint&>(end).is_probe) return;
      log_line(&end == &client ? "client" : "service",
               received < 0 ? "receives a reset" : "receives the end");
      note_progress();
      return;
    }
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(received));
    if (&end == &client) {
      if (slow) end.paused_until = Clock::now() + milliseconds(1);
      log_bytes("client receives", bytes);
      response.feed(bytes);
      note_progress();
      return;
    }
    auto& service = static_cast<ServiceEndpoint&>(end);
    if (service.is_scripted || service.is_probe) {
      if (service.is_scripted) {
        log_bytes("service receives", bytes);
        note_progress();
      }
      service.reader.feed(bytes);
      return;
    }
    service.first_bytes += bytes;
    constexpr std::string_view kProbe = "GET /health ";
    if (service.first_bytes.size() < kProbe.size()) return;
    service.is_probe = service.first_bytes.starts_with(kProbe);
    service.is_scripted = !service.is_probe;
    if (service.is_scripted) {
      log_bytes("service receives", service.first_bytes);
      note_progress();
    }
    service.reader.feed(service.first_bytes);
  }

  // --- checks ---

  void check_result() {
    const bool is_corrupted = current_case.fault == Fault::corrupt;
    if (!response.problem.empty()) return fail("answer: " + response.problem);
    for (const ServiceEndpoint& end : services)
      if (!end.is_probe && !end.reader.problem.empty())
        return fail("request to the service: " + end.reader.problem);
    if (!is_corrupted || current_case.side == Side::service) check_service_requests();
    if (!problem.empty() || is_corrupted) return;
    for (std::size_t i = 0; i < response.messages.size() && i < exchange.requests.size(); ++i)
      check_answer(response.messages[i], exchange.requests[i]);
    if (problem.empty()) check_missing_answers();
  }

  // The service must receive what the client sent or a prefix of it, and no POST twice.
  void check_service_requests() {
    std::vector<int> request_counts(exchange.requests.size());
    for (const ServiceEndpoint& end : services) {
      if (end.is_probe) continue;
      for (std::size_t i = 0; i < end.reader.messages.size(); ++i) {
        const Message& received = end.reader.messages[i];
        const std::size_t number = i < end.request_numbers.size() ? end.request_numbers[i] : 0;
        const ExpectedRequest& expected = exchange.requests[number];
        if (received.method != expected.method)
          return fail("the service received the method " + received.method + " instead of " +
                      expected.method);
        if (!expected.request_body.starts_with(received.body) ||
            (received.complete && received.body != expected.request_body && !end.reader.is_raw)) {
          const auto same = static_cast<std::size_t>(
              std::ranges::mismatch(expected.request_body, received.body).in2 - received.body.begin());
          return fail(
              fmt::format("the service received a wrong body: {} of {} bytes, correct up to {}, then \"{}\"",
                          received.body.size(), expected.request_body.size(), same,
                          escaped(received.body.substr(same), 100)));
        }
        if (expected.drops_upgrade && !received.header("Upgrade").empty())
          return fail("the header Upgrade was forwarded: " + std::string(received.header("Upgrade")));
        if (end.reader.is_raw && !expected.raw_up.starts_with(end.reader.raw))
          return fail("the service received wrong bytes through the tunnel");
        ++request_counts[number];
      }
    }
    for (std::size_t i = 0; i < request_counts.size(); ++i)
      if (request_counts[i] > 1 && exchange.requests[i].method != "GET" &&
          exchange.requests[i].method != "HEAD" && exchange.requests[i].method != "DELETE" &&
          !exchange.may_repeat)
        return fail(fmt::format("the service received a {} {} times", exchange.requests[i].method,
                                request_counts[i]));
  }

  bool may_fail() const {
    return has_faulty_side() || exchange.any_status || current_case.order != Order::in_turn;
  }

  void check_answer(const Message& received, const ExpectedRequest& expected) {
    if (expected.status == 101 && response.is_raw) {
      if (!expected.raw_down.starts_with(response.raw))
        return fail("the client received wrong bytes through the tunnel");
      return;
    }
    if (received.status != expected.status) {
      if (may_fail() && received.status >= 400 && !received.header("Content-Type").empty()) return;
      if (may_fail() && exchange.any_status) return;
      return fail(fmt::format("the client received status {} instead of {}: {}", received.status,
                              expected.status, escaped(received.body, 300)));
    }
    if (exchange.any_status || expected.attempts.empty() || expected.answer_body.empty()) return;
    if (received.status >= 500 && received.body.starts_with("{\"error\""))
      return;  // an error of the daemon itself
    std::string_view body = received.body;
    if (const std::size_t error_at = body.find("data: {\"error\""); error_at != body.npos)
      body = body.substr(0, error_at);
    if (const std::size_t error_at = body.find("{\"error\""); error_at != body.npos)
      body = body.substr(0, error_at);
    if (!expected.answer_body.starts_with(body))
      return fail(fmt::format("the client received a wrong body: \"{}\"", escaped(received.body, 300)));
    const bool is_ended_by_eof = expected.until_close && is_service_faulted();
    if (received.complete && received.body != expected.answer_body && expected.method != "HEAD" &&
        !is_ended_by_eof && !received.until_close)
      return fail(fmt::format("a truncated answer looks complete: \"{}\"", escaped(received.body, 300)));
    if (received.complete && received.until_close && received.body != expected.answer_body &&
        !is_ended_by_eof)
      return fail(
          fmt::format("a truncated answer ends like a complete one: \"{}\"", escaped(received.body, 300)));
  }

  // A correct client must get an answer to each request, or see that one was aborted.
  void check_missing_answers() {
    const bool all_sent = client.step >= exchange.client.size();
    const bool honest = !is_client_faulted() || is_half_closed_at_end();
    if (!honest || exchange.endless || client_left) return;
    const std::size_t due = exchange.requests.size();
    const bool last_incomplete = !response.messages.empty() && !response.messages.back().complete;
    const bool saw_close = !response.messages.empty() && response.messages.back().closes_connection();
    if (!all_sent && current_case.fault == Fault::hang) return;  // the client waited for the side that hung
    if (response.messages.size() < due && !last_incomplete && !saw_close)
      return fail(fmt::format("the client received {} of {} answers, then the {} of the connection",
                              response.messages.size(), due, client.got_reset ? "reset" : "end"));
    const bool service_ok = !is_service_faulted() || injection.sent >= bytes_to_send(exchange, Side::service);
    if (service_ok && last_incomplete && !may_fail())
      return fail("an answer was aborted although its service sent all of it");
    if (response.is_raw) {
      if (!has_faulty_side() && current_case.order == Order::in_turn && client.got_eof) {
        if (client.got_reset) return fail("a tunnel closed by its service ended with a reset");
        if (response.raw != exchange.requests.back().raw_down && all_sent)
          return fail(fmt::format("the client received {} of {} bytes through the tunnel",
                                  response.raw.size(), exchange.requests.back().raw_down.size()));
      }
      return;
    }
    if (client.got_eof && client.got_reset && !last_incomplete && !is_service_faulted())
      return fail("the connection was reset after its last answer, which may be lost");
  }

  // The next request on the connection must be answered, or the connection closed.
  void send_next_request() {
    if (response.is_raw || response.messages.empty() || client.sent_fin || client.has_steps()) return;
    // If the tunnel was refused, its bytes were read as the next request, which is invalid.
    if (current_case.order == Order::client_first && is_tunnel()) return;
    response.sent_requests.push_back({"GET", false, false});
    const std::string_view next = "GET /healthz HTTP/1.1\r\nHost: mgpu\r\n\r\n";
    const std::size_t answers_before = response.messages.size();
    if (::send(client.fd, next.data(), next.size(), MSG_NOSIGNAL) < 0) return;
    log_bytes("client", next);
    const bool may_close = response.messages.back().closes_connection();
    const auto until = Clock::now() + limits.settle;
    while (!client.got_eof && response.complete_count() <= answers_before && Clock::now() < until) {
      if (response.messages.size() > answers_before && response.messages.back().complete) break;
      poll_once(milliseconds(10));
      for (ServiceEndpoint& end : services) serve_connection(end);
    }
    if (!response.problem.empty()) return fail("answer to the next request: " + response.problem);
    if (client.got_eof && (may_close || response.messages.size() == answers_before)) return;
    if (response.messages.size() <= answers_before || !response.messages.back().complete)
      return fail("the next request on the connection is not answered, and the connection not closed");
    if (response.messages.back().status != 200)
      fail(fmt::format("the next request on the connection got status {} instead of 200",
                       response.messages.back().status));
  }

  // Within the limit no request of the lane may be running or waiting, and aborted connections must be
  // closed.
  void wait_until_idle() {
    const auto begun = Clock::now();
    std::string leftovers;
    // A request that a client sent before it closed may still be in the daemon's socket, so the daemon counts
    // as idle only after three polls.
    int idle_polls = client.got_eof ? 2 : 0;
    while (true) {
      leftovers = describe_leftovers();
      idle_polls = leftovers.empty() ? idle_polls + 1 : 0;
      if (idle_polls == 3) return;
      if (leftovers.empty()) continue;
      if (Clock::now() - begun > limits.settle) break;
      poll_and_serve(milliseconds(5));
    }
    fail(leftovers);
  }

  void poll_and_serve(milliseconds limit) {
    poll_once(limit);
    for (ServiceEndpoint& end : services) serve_connection(end);
  }

  // Describes running and waiting requests of this lane; empty if there are none.
  std::string describe_in_flight() {
    const std::string body = query_control_plane("/v1/consumers/" + name());
    if (body.empty()) return "turn: the control plane does not answer";
    const auto consumer = nlohmann::json::parse(body, nullptr, false);
    if (consumer.is_discarded())
      return "turn: the control plane answers with invalid JSON: " + escaped(body, 200);
    const int running = consumer.value("running", -1), waiting = consumer.value("waiting", -1);
    if (running == 0 && waiting == 0) return {};
    return fmt::format("turn: {} running and {} waiting after the end of the exchange", running, waiting);
  }

  std::string describe_leftovers() {
    if (std::string left = describe_in_flight(); !left.empty()) return left;
    for (ServiceEndpoint& end : services) {
      if (!end.is_open() || end.is_probe || end.got_eof) continue;
      const bool whole =
          !end.reader.messages.empty() && end.reader.messages.back().complete && !end.reader.is_raw;
      const bool answered =
          end.answers_sent + (end.current_message && !end.has_steps() ? 1 : 0) >= end.reader.messages.size();
      if (!whole || !answered || end.reader.messages.empty())
        return "a connection to the service stays open in the middle of an exchange";
    }
    return {};
  }

  std::string query_control_plane(const std::string& target) {
    const auto until = Clock::now() + std::max<milliseconds>(limits.settle, milliseconds(3000));
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (control_fd < 0) control_fd = connect_to(daemon_port, lane_number);
      if (control_fd < 0) return {};
      const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: mgpu\r\n\r\n", target);
      ResponseReader reader;
      reader.sent_requests.push_back({});
      bool is_dead = ::send(control_fd, request.data(), request.size(), MSG_NOSIGNAL) < 0;
      while (!is_dead && Clock::now() < until) {
        pollfd poll_fd{.fd = control_fd, .events = POLLIN, .revents = 0};
        if (::poll(&poll_fd, 1, 1) > 0) {
          std::array<char, kReadSize> buffer;
          const ssize_t received = ::recv(control_fd, buffer.data(), buffer.size(), 0);
          if (received <= 0 && !(received < 0 && errno == EAGAIN)) is_dead = true;
          if (received > 0) reader.feed({buffer.data(), static_cast<std::size_t>(received)});
          if (reader.complete_count() == 1) return reader.messages[0].body;
        } else {
          poll_and_serve(milliseconds(0));  // answers health checks meanwhile
        }
      }
      ::close(control_fd);
      control_fd = -1;
      if (!is_dead) return {};
    }
    return {};
  }

  // --- transcript ---

  void note_progress() { last_progress = Clock::now(); }

  void fail(std::string what) {
    if (problem.empty()) problem = std::move(what);
    log_line("harness", "FAILS: " + problem);
  }

  void log_line(std::string_view source, std::string_view what) {
    if (transcript.size() > 20'000) return;
    const auto at = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
    transcript += fmt::format("  {:8.1f} ms  {}: {}\n", at, source, what);
  }
  void log_bytes(std::string_view source, std::string_view bytes) {
    if (transcript.size() > 20'000) return;
    log_line(source, fmt::format("\"{}\"", escaped(bytes, 700)));
  }

  unsigned lane_number;
  CaseTimeouts limits;
  int listener_fd = -1, control_fd = -1;
  std::uint16_t service_port = 0, daemon_port = 0;
  std::uint32_t case_count = 0;

  FaultCase current_case;
  ExchangeScript exchange;
  std::string case_id;
  std::deque<std::string> abandoned_cases;  // ids of cases whose client left early
  Endpoint client;
  ResponseReader response;
  std::list<ServiceEndpoint> services;
  FaultInjection injection;
  std::vector<std::size_t> attempt_counts;  // by request
  std::string problem, transcript, previous_case;
  bool client_left = false;  // closed by its script or its fault
  Clock::time_point started{}, last_progress{};
};

Lane::Lane(unsigned number, CaseTimeouts limits) : impl_(std::make_unique<Impl>(number, limits)) {}
Lane::~Lane() = default;
std::string Lane::name() const { return impl_->name(); }
std::uint16_t Lane::service_port() const { return impl_->service_port; }
void Lane::set_daemon_port(std::uint16_t daemon_port) {
  impl_->daemon_port = daemon_port;
  if (impl_->control_fd >= 0) ::close(impl_->control_fd);
  impl_->control_fd = -1;
}
CaseResult Lane::run_case(const FaultCase& fault_case) { return impl_->run_case(fault_case); }

}  // namespace mgpu::faults
