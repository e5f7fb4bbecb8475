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

constexpr auto kQuiet = milliseconds(40);  // after so long without a byte nobody will go on by himself
constexpr auto kStall = milliseconds(60);
constexpr auto kDelay = milliseconds(4);
constexpr std::string_view kGarbled = "garbled";  // stands for a case whose id may have been corrupted
constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kSip = 16 * 1024;  // of a slow reader, each millisecond

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

// From an address of the lane's own, so that its ports do not run out.
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

// One end of a connection, and how far its script is.
struct End {
  int fd = -1;
  bool heard_end = false, reset = false;  // what the daemon did
  bool broken = false;                    // nothing can be sent any more
  bool shut = false;                      // we sent our FIN
  const Steps* steps = nullptr;
  std::size_t step = 0, offset = 0;
  Clock::time_point paused{};  // until then
  Clock::time_point ends{};    // a stalled one is closed then
  bool stalled = false, hanging = false, wants_room = false;

  bool open() const { return fd >= 0; }
  bool has_steps() const { return steps != nullptr && step < steps->size(); }
};

struct ServiceEnd : End {
  RequestReader heard{};
  std::string opening{};  // until it is known whether it is a probe
  bool is_probe = false, is_known = false;
  std::optional<std::size_t> message{};  // of `heard`, that is answered
  std::size_t begun = 0;                 // messages whose answer has begun
  std::size_t answered = 0;              // whole answers sent
  std::vector<std::size_t> numbers{};    // of the exchange's requests, by message
};

struct Injection {
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

std::string reproduction(const Case& played) {
  std::string line =
      fmt::format("--only {} --order {} --side {} --fault {} --at {}", all_scripts()[played.script].name,
                  to_string(played.order), to_string(played.side), to_string(played.fault), played.at);
  if (played.fault == Fault::corrupt) line += fmt::format(" --seed {}", played.seed);
  return line;
}

std::size_t length_of(const Exchange& exchange, Side side) {
  const auto of = [](const Steps& steps) {
    std::size_t sum = 0;
    for (const Step& step : steps) sum += step.bytes.size();
    return sum;
  };
  if (side == Side::client) return of(exchange.client);
  std::size_t sum = 0;
  for (const Wanted& request : exchange.requests)
    for (const Steps& steps : request.attempts) sum += of(steps);
  return sum;
}

struct Lane::Impl {
  Impl(unsigned number, Limits limits_) : lane_number(number), limits(limits_) {
    listener = listener_on_loopback(port);
  }
  ~Impl() {
    if (listener >= 0) ::close(listener);
    if (control >= 0) ::close(control);
    for (ServiceEnd& end : services) close_end(end);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // One corrupted byte must not make it another lane's.
  std::string name() const { return fmt::format("lane{:02}{:02}", lane_number, 99 - lane_number); }

  // --- one case ---

  Outcome play(const Case& wanted) {
    played = wanted;
    const std::string id = fmt::format("{:08x}", ++count);
    exchange = all_scripts()[played.script].make({.lane = name(), .id = id});
    log.clear();
    started = Clock::now();
    problem.clear();
    client = {};
    response = {};
    faulted = {};
    served.assign(exchange.requests.size(), 0);
    case_id = id;
    client_left = false;
    for (const Wanted& request : exchange.requests)
      response.asked.push_back({request.method, request.upgrade, exchange.http_1_0});
    response.any_number = (played.side == Side::client && played.fault == Fault::corrupt) ||
                          (is_tunnel() && played.order == Order::client_first);
    client.steps = &exchange.client;
    client.fd = connect_to(daemon_port, lane_number);
    Outcome outcome;
    if (client.fd < 0) {
      outcome.problem = fmt::format("the daemon takes no connection: {}", std::strerror(errno));
      outcome.poisoned = true;
      return outcome;
    }
    run_exchange();
    if (problem.empty()) judge();
    const bool next_due = problem.empty() && client.open() && !client.heard_end && !client_faulted();
    if (next_due) ask_again();
    close_end(client);
    const std::string first = problem;
    problem.clear();
    settle();
    if (!first.empty() && !problem.empty()) outcome.poisoned = true;
    if (!problem.empty() && problem.starts_with("turn:")) outcome.poisoned = true;
    problem = first.empty() ? problem : problem.empty() ? first : first + "; then " + problem;
    for (ServiceEnd& end : services) close_end(end);
    services.clear();
    before = reproduction(played);
    if (client_faulted() || client_left || !first.empty()) left_cases.push_back(case_id);
    if (played.side == Side::client && played.fault == Fault::corrupt) left_cases.emplace_back(kGarbled);
    while (left_cases.size() > 10) left_cases.pop_front();
    outcome.problem = problem;
    outcome.transcript = log;
    return outcome;
  }

  bool is_tunnel() const { return exchange.requests.back().status == 101; }
  bool client_faulted() const {
    return played.side == Side::client && played.fault != Fault::none && played.fault != Fault::delay;
  }
  bool service_faulted() const {
    return played.side == Side::service && played.fault != Fault::none && played.fault != Fault::delay;
  }
  bool faulty() const { return client_faulted() || service_faulted(); }

  // Both scripts, until nothing is left to happen.
  void run_exchange() {
    const auto hard_limit = started + limits.answer;
    last_progress = Clock::now();
    bool released = false;
    Clock::time_point released_at{};
    while (true) {
      advance_all();
      if (is_over()) return;
      const auto now = Clock::now();
      const bool quiet = now - last_progress > kQuiet && !paused_anywhere(now);
      if (quiet && faulty() && !hangs() && !half_closed_at_end() && close_faulted("quiet")) {
        released = true;  // what its fault has left waiting ends here
        released_at = last_progress = now;
      }
      if (hangs() && !released && now - last_progress > limits.hang) {
        // A connection without a request may stay for long; a turn may not.
        const std::string left = in_flight();
        if (!left.empty() && !exchange.endless) return fail("a side that hangs keeps its turn: " + left);
        close_faulted("hangs");
        released = true;
        released_at = last_progress = now;
      }
      if (released && now - released_at > limits.settle + milliseconds(500))
        return fail(client.open() ? "hang: the client neither gets an answer nor the end of its connection"
                                  : "hang: the service's connection stays open after its client has gone");
      if (now > hard_limit) return fail("hang: nothing happens any more");
      poll_once(milliseconds(10));
    }
  }

  // Whether there was something to close.
  bool close_faulted(std::string_view why) {
    bool closed = false;
    const auto close_one = [&](End& end) {
      if (!end.open()) return;
      note("harness", fmt::format("{}: closes the faulted side", why));
      end.hanging = false;
      close_end(end);
      closed = true;
    };
    if (played.side == Side::client) {
      close_one(client);
      client_left = true;
    }
    for (ServiceEnd& end : services)
      if (played.side == Side::service && end.is_known) close_one(end);
    return closed;
  }

  // Such a client still wants its answer.
  bool half_closed_at_end() const {
    return played.side == Side::client && played.fault == Fault::half && !exchange.endless &&
           played.at >= length_of(exchange, Side::client);
  }

  bool hangs() const {
    return client.hanging || std::ranges::any_of(services, [](const ServiceEnd& end) { return end.hanging; });
  }

  bool paused_anywhere(Clock::time_point now) const {
    const auto waits = [&](const End& end) {
      return end.open() && (end.paused > now || (end.stalled && end.ends > now));
    };
    return waits(client) || std::ranges::any_of(services, waits);
  }

  bool answers_complete() const {
    return !response.is_raw && response.complete() >= exchange.requests.size();
  }

  // The client has what it wanted and has sent all it has to, or its connection is over; and no service still
  // talks.
  bool is_over() {
    if (client.open()) {
      if (client.stalled || client.hanging) return false;
      if (!client.heard_end && !(answers_complete() && !client.has_steps())) return false;
      if (client.heard_end) {
        response.end(client.reset);
        client.broken = true;
      }
    }
    for (const ServiceEnd& end : services) {
      if (!end.open() || end.is_probe) continue;
      if (end.stalled || end.hanging) return false;
      if (client.open() && !client.heard_end && end.has_steps() && !end.broken) return false;
    }
    return true;
  }

  // --- the scripts ---

  void advance_all() {
    bool moved = true;
    while (moved) {
      moved = advance(client, Side::client);
      for (ServiceEnd& end : services) moved |= serve(end);
    }
  }

  // What a service does on one of its connections.
  bool serve(ServiceEnd& end) {
    if (!end.open()) return false;
    if (end.is_probe) return answer_probe(end);
    if (!end.is_known) return false;
    bool moved = false;
    if (!end.has_steps() && !end.stalled && !end.broken) {
      if (end.message) {
        ++end.answered;
        end.message.reset();
        end.steps = nullptr;
      }
      if (end.begun < end.heard.messages.size()) {
        begin_answer(end);
        moved = true;
      }
    }
    if (end.message || is_due(Side::service)) moved |= advance(end, Side::service);
    if (end.open() && end.heard_end && (!end.has_steps() || end.broken || !end.steps)) {
      close_end(end);
      moved = true;
    } else if (end.open() && end.heard_end && end.message) {
      // The daemon gave the request up: whatever is still to be said finds nobody.
      end.broken = true;
      moved = true;
    }
    return moved;
  }

  void begin_answer(ServiceEnd& end) {
    const std::size_t at = end.begun++;
    const std::string_view mark = end.heard.messages[at].header("X-Case");
    std::size_t number = 0;
    const bool ours = mark.size() > 9 && mark.substr(0, 8) == case_id;
    // The client of a case before left, and what the daemon had begun by then lay in our socket.
    const auto was_left = [&](std::string_view id) {
      return std::ranges::find(left_cases, id) != left_cases.end();
    };
    if (!ours && (was_left(mark.substr(0, std::min<std::size_t>(mark.size(), 8))) || was_left(kGarbled))) {
      note("service", "closes a connection of a case before");
      close_end(end);
      end.is_probe = true;
      return;
    }
    if (ours) number = static_cast<std::size_t>(mark[9] - '0');
    if (!ours && !(played.side == Side::client && played.fault == Fault::corrupt))
      fail(fmt::format("the service gets a request of another case: X-Case {}, before this: {}", mark,
                       before));
    if (number >= exchange.requests.size()) number = 0;
    end.numbers.resize(at + 1, number);
    const Wanted& wanted = exchange.requests[number];
    end.message = at;
    end.offset = end.step = 0;
    static const Steps kNothing{send("HTTP/1.1 200 Not scripted\r\nContent-Length: 0\r\n\r\n")};
    const std::size_t attempt = served[number]++;
    end.steps =
        wanted.attempts.empty() ? &kNothing : &wanted.attempts[std::min(attempt, wanted.attempts.size() - 1)];
  }

  bool answer_probe(ServiceEnd& end) {
    bool moved = false;
    while (end.answered < end.heard.complete()) {
      ++end.answered;
      constexpr std::string_view kHealthy = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
      if (::send(end.fd, kHealthy.data(), kHealthy.size(), MSG_NOSIGNAL) < 0) end.broken = true;
      moved = true;
    }
    if (end.heard_end || end.broken) {
      close_end(end);
      moved = true;
    }
    return moved;
  }

  bool is_due(Side side) const {
    return played.side == side && played.fault != Fault::none && !faulted.fired && faulted.sent >= played.at;
  }

  bool advance(End& end, Side side) {
    bool moved = false;
    while (end.open() && !end.stalled && !end.hanging && end.paused <= Clock::now()) {
      end.wants_room = false;
      if (is_due(side) && played.fault != Fault::corrupt) {
        fire(end, side);
        moved = true;
        continue;
      }
      if (!end.has_steps() || end.broken || end.shut) break;
      const Step& step = (*end.steps)[end.step];
      if (!take_step(end, side, step)) break;
      moved = true;
    }
    return moved;
  }

  // One step, or a part of it; false where it has to wait.
  bool take_step(End& end, Side side, const Step& step) {
    switch (step.kind) {
      case Step::Kind::send:
        return send_some(end, side, step);
      case Step::Kind::wait:
        if (!waits_no_more(end, side, step)) return false;
        break;
      case Step::Kind::pause:
        end.paused = Clock::now() + milliseconds(step.pause_ms);
        break;
      case Step::Kind::shut_sending:
        note(to_string(side), "shuts its sending side");
        ::shutdown(end.fd, SHUT_WR);
        end.shut = true;
        break;
      case Step::Kind::close:
        note(to_string(side), "closes");
        if (side == Side::service) ++static_cast<ServiceEnd&>(end).answered;
        if (side == Side::client) client_left = true;
        close_end(end);
        return true;
    }
    ++end.step;
    progress();
    return true;
  }

  bool waits_no_more(End& end, Side side, const Step& step) {
    if (side == Side::client) {
      if (played.order == Order::client_first) return true;
      return step.until(View{.heard = response});
    }
    auto& service = static_cast<ServiceEnd&>(end);
    if (played.order == Order::service_first) return true;
    return step.until(View{.heard = service.heard, .message = *service.message});
  }

  bool send_some(End& end, Side side, const Step& step) {
    std::string_view rest = std::string_view(step.bytes).substr(end.offset);
    const bool client_told = side == Side::client && end.offset == 0 && played.order != Order::client_first &&
                             !response.messages.empty() && response.messages.back().complete &&
                             response.messages.back().closes();
    const bool refused = side == Side::client && is_tunnel() && played.order != Order::client_first &&
                         !response.messages.empty() && !response.is_raw;
    if (client_told || refused || rest.empty()) {  // it was told that the connection ends, or stays as it is
      if (client_told || refused) end.step = end.steps->size() - 1;
      ++end.step;
      end.offset = 0;
      return true;
    }
    std::string changed;
    if (played.side == side && !faulted.fired && played.fault != Fault::none) {
      const std::size_t room = played.at - faulted.sent;
      if (played.fault == Fault::corrupt && room == 0) {
        changed = corrupted(rest.front());
        rest = changed;
      } else {
        rest = rest.substr(0, room);
      }
    }
    const ssize_t sent = ::send(end.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN) {
        end.wants_room = true;
        return false;
      }
      note(to_string(side), fmt::format("can't send: {}", std::strerror(errno)));
      end.broken = true;
      return true;
    }
    note_bytes(to_string(side), rest.substr(0, static_cast<std::size_t>(sent)));
    const auto n = static_cast<std::size_t>(sent);
    end.offset += n;
    if (played.side == side) {
      if (!changed.empty()) faulted.fired = true;
      faulted.sent += n;
    }
    if (end.offset == step.bytes.size()) {
      ++end.step;
      end.offset = 0;
    }
    progress();
    return true;
  }

  std::string corrupted(char was) {
    constexpr std::string_view kBad("\0\n\r :;,\t0f\x7f\xff", 12);
    const std::uint32_t choice = played.seed % 16;
    char becomes =
        choice < kBad.size() ? kBad[choice] : static_cast<char>(was ^ (1 << (played.seed / 16 % 8)));
    if (becomes == was) becomes = static_cast<char>(was ^ 1);
    note(to_string(played.side), fmt::format("corrupts \"{}\"", escaped({&was, 1})));
    return {becomes};
  }

  void fire(End& end, Side side) {
    faulted.fired = true;
    note(to_string(side), fmt::format("{} after {} bytes", to_string(played.fault), faulted.sent));
    progress();
    switch (played.fault) {
      case Fault::none:
      case Fault::corrupt:
        return;
      case Fault::cut:
        return close_end(end);
      case Fault::half:
        ::shutdown(end.fd, SHUT_WR);
        end.shut = true;
        return;
      case Fault::reset: {
        const linger now{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(end.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return close_end(end);
      }
      case Fault::stall:
        end.stalled = true;
        end.ends = Clock::now() + kStall;
        return;
      case Fault::hang:
        end.hanging = true;
        return;
      case Fault::delay:
        end.paused = Clock::now() + kDelay;
        return;
    }
  }

  static void close_end(End& end) {
    if (end.fd >= 0) ::close(end.fd);
    end.fd = -1;
  }

  // --- bytes in ---

  void poll_once(milliseconds limit) {
    std::vector<pollfd> fds{{.fd = listener, .events = POLLIN, .revents = 0}};
    std::vector<End*> ends{nullptr};
    const auto now = Clock::now();
    const auto watch = [&](End& end) {
      if (!end.open()) return;
      if (end.stalled && end.ends <= now) {
        note("harness", "the stalled side closes");
        close_end(end);
        end.stalled = false;
        progress();
        return;
      }
      if (end.paused > now) {
        limit = std::min(limit, std::chrono::ceil<milliseconds>(end.paused - now));
        if (!end.hanging) return;
      }
      short events = end.hanging ? POLLRDHUP : POLLIN;
      if (end.stalled || end.heard_end) events = 0;
      if (end.wants_room && !end.stalled && !end.hanging) events = static_cast<short>(events | POLLOUT);
      if (events == 0) return;
      fds.push_back({.fd = end.fd, .events = events, .revents = 0});
      ends.push_back(&end);
    };
    watch(client);
    for (ServiceEnd& end : services) watch(end);
    if (::poll(fds.data(), fds.size(), static_cast<int>(limit.count())) <= 0) return;
    if (fds[0].revents != 0) accept_all();
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      if (ends[i]->hanging) {
        note("harness", "the daemon ends the side that hangs");
        close_end(*ends[i]);
        ends[i]->hanging = false;
        progress();
      } else if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(*ends[i]);
      }
    }
  }

  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      ServiceEnd& end = services.emplace_back();
      end.fd = fd;
      end.heard.becomes_raw = [this](const Message& request) {
        const std::string_view mark = request.header("X-Case");
        const std::size_t number = mark.size() > 9 ? static_cast<std::size_t>(mark[9] - '0') : 0;
        return number < exchange.requests.size() && exchange.requests[number].status == 101;
      };
    }
  }

  void receive(End& end) {
    std::array<char, kPiece> room;
    const bool slow = &end == &client && exchange.slow_reader;
    const ssize_t got = ::recv(end.fd, room.data(), slow ? kSip : room.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      end.heard_end = true;
      end.reset = got < 0;
      if (&end != &client && static_cast<ServiceEnd&>(end).is_probe) return;
      note(&end == &client ? "client" : "service", got < 0 ? "hears a reset" : "hears the end");
      progress();
      return;
    }
    const std::string_view bytes(room.data(), static_cast<std::size_t>(got));
    if (&end == &client) {
      if (slow) end.paused = Clock::now() + milliseconds(1);
      note_bytes("client hears", bytes);
      response.feed(bytes);
      progress();
      return;
    }
    auto& service = static_cast<ServiceEnd&>(end);
    if (service.is_known || service.is_probe) {
      if (service.is_known) {
        note_bytes("service hears", bytes);
        progress();
      }
      service.heard.feed(bytes);
      return;
    }
    service.opening += bytes;
    constexpr std::string_view kProbe = "GET /health ";
    if (service.opening.size() < kProbe.size()) return;
    service.is_probe = service.opening.starts_with(kProbe);
    service.is_known = !service.is_probe;
    if (service.is_known) {
      note_bytes("service hears", service.opening);
      progress();
    }
    service.heard.feed(service.opening);
  }

  // --- what must be true ---

  void judge() {
    const bool garbled = played.fault == Fault::corrupt;
    if (!response.problem.empty()) return fail("answer: " + response.problem);
    for (const ServiceEnd& end : services)
      if (!end.is_probe && !end.heard.problem.empty())
        return fail("request to the service: " + end.heard.problem);
    if (!garbled || played.side == Side::service) judge_requests();
    if (!problem.empty() || garbled) return;
    for (std::size_t i = 0; i < response.messages.size() && i < exchange.requests.size(); ++i)
      judge_answer(response.messages[i], exchange.requests[i]);
    if (problem.empty()) judge_missing();
  }

  // The service sees what the client sent, in whole or the beginning of it, and no POST twice.
  void judge_requests() {
    std::vector<int> whole(exchange.requests.size());
    for (const ServiceEnd& end : services) {
      if (end.is_probe) continue;
      for (std::size_t i = 0; i < end.heard.messages.size(); ++i) {
        const Message& got = end.heard.messages[i];
        const std::size_t number = i < end.numbers.size() ? end.numbers[i] : 0;
        const Wanted& wanted = exchange.requests[number];
        if (got.method != wanted.method) return fail("the service gets another method: " + got.method);
        if (!wanted.sent.starts_with(got.body) ||
            (got.complete && got.body != wanted.sent && !end.heard.is_raw)) {
          const auto same =
              static_cast<std::size_t>(std::ranges::mismatch(wanted.sent, got.body).in2 - got.body.begin());
          return fail(
              fmt::format("the service gets another body: {} of {} bytes, right up to {}, then \"{}\"",
                          got.body.size(), wanted.sent.size(), same, escaped(got.body.substr(same), 100)));
        }
        if (wanted.drops_upgrade && !got.header("Upgrade").empty())
          return fail("Upgrade is passed on: " + std::string(got.header("Upgrade")));
        if (end.heard.is_raw && !wanted.raw_up.starts_with(end.heard.raw))
          return fail("the service gets other bytes through the tunnel");
        ++whole[number];
      }
    }
    for (std::size_t i = 0; i < whole.size(); ++i)
      if (whole[i] > 1 && exchange.requests[i].method != "GET" && exchange.requests[i].method != "HEAD" &&
          exchange.requests[i].method != "DELETE" && !exchange.may_repeat)
        return fail(fmt::format("the service gets a {} {} times", exchange.requests[i].method, whole[i]));
  }

  bool may_fail() const { return faulty() || exchange.any_status || played.order != Order::in_turn; }

  void judge_answer(const Message& got, const Wanted& wanted) {
    if (wanted.status == 101 && response.is_raw) {
      if (!wanted.raw_down.starts_with(response.raw))
        return fail("the client gets other bytes through the tunnel");
      return;
    }
    if (got.status != wanted.status) {
      if (may_fail() && got.status >= 400 && !got.header("Content-Type").empty()) return;
      if (may_fail() && exchange.any_status) return;
      return fail(fmt::format("the client gets status {} instead of {}: {}", got.status, wanted.status,
                              escaped(got.body, 300)));
    }
    if (exchange.any_status || wanted.attempts.empty() || wanted.body.empty()) return;
    if (got.status >= 500 && got.body.starts_with("{\"error\"")) return;  // the daemon's own
    std::string_view body = got.body;
    if (const std::size_t told = body.find("data: {\"error\""); told != body.npos)
      body = body.substr(0, told);
    if (const std::size_t told = body.find("{\"error\""); told != body.npos) body = body.substr(0, told);
    if (!wanted.body.starts_with(body))
      return fail(fmt::format("the client gets another body: \"{}\"", escaped(got.body, 300)));
    const bool end_is_all = wanted.until_close && service_faulted();
    if (got.complete && got.body != wanted.body && wanted.method != "HEAD" && !end_is_all && !got.until_close)
      return fail(fmt::format("a part of the answer looks like all of it: \"{}\"", escaped(got.body, 300)));
    if (got.complete && got.until_close && got.body != wanted.body && !end_is_all)
      return fail(
          fmt::format("a part of the answer ends as if it were all of it: \"{}\"", escaped(got.body, 300)));
  }

  // An honest client gets an answer to each request, or sees that one was broken off.
  void judge_missing() {
    const bool all_sent = client.step >= exchange.client.size();
    const bool honest = !client_faulted() || half_closed_at_end();
    if (!honest || exchange.endless || client_left) return;
    const std::size_t due = exchange.requests.size();
    const bool last_incomplete = !response.messages.empty() && !response.messages.back().complete;
    const bool told_to_stop = !response.messages.empty() && response.messages.back().closes();
    if (!all_sent && played.fault == Fault::hang) return;  // the client waited for the side that hung
    if (response.messages.size() < due && !last_incomplete && !told_to_stop)
      return fail(fmt::format("{} of {} answers, and then the {} of the connection", response.messages.size(),
                              due, client.reset ? "reset" : "end"));
    const bool service_ok = !service_faulted() || faulted.sent >= length_of(exchange, Side::service);
    if (service_ok && last_incomplete && !may_fail())
      return fail("an answer is broken off though its service is well");
    if (response.is_raw) {
      if (!faulty() && played.order == Order::in_turn && client.heard_end) {
        if (client.reset) return fail("a tunnel that its service closed ends with a reset");
        if (response.raw != exchange.requests.back().raw_down && all_sent)
          return fail(fmt::format("{} of {} bytes come through the tunnel", response.raw.size(),
                                  exchange.requests.back().raw_down.size()));
      }
      return;
    }
    if (client.heard_end && client.reset && !last_incomplete && !service_faulted())
      return fail("the connection is reset after its last answer, which may be lost");
  }

  // The connection's next request is answered, or the connection closed.
  void ask_again() {
    if (response.is_raw || response.messages.empty() || client.shut || client.has_steps()) return;
    // What it sent through a tunnel that never was is its next request, and no good one.
    if (played.order == Order::client_first && is_tunnel()) return;
    response.asked.push_back({"GET", false, false});
    const std::string_view next = "GET /healthz HTTP/1.1\r\nHost: mgpu\r\n\r\n";
    const std::size_t had = response.messages.size();
    if (::send(client.fd, next.data(), next.size(), MSG_NOSIGNAL) < 0) return;
    note_bytes("client", next);
    const bool may_close = response.messages.back().closes();
    const auto until = Clock::now() + limits.settle;
    while (!client.heard_end && response.complete() <= had && Clock::now() < until) {
      if (response.messages.size() > had && response.messages.back().complete) break;
      poll_once(milliseconds(10));
      for (ServiceEnd& end : services) serve(end);
    }
    if (!response.problem.empty()) return fail("answer to the next request: " + response.problem);
    if (client.heard_end && (may_close || response.messages.size() == had)) return;
    if (response.messages.size() <= had || !response.messages.back().complete)
      return fail("the connection's next request is neither answered nor the connection closed");
    if (response.messages.back().status != 200)
      fail(fmt::format("the connection's next request gets {}", response.messages.back().status));
  }

  // Within the limit nobody is in flight or waits, and what was cut off at the service is closed.
  void settle() {
    const auto begun = Clock::now();
    std::string last;
    // What a client sent before it closed may still lie in the daemon's sockets: it is at rest when it is so
    // thrice.
    int calm = client.heard_end ? 2 : 0;
    while (true) {
      last = still_there();
      calm = last.empty() ? calm + 1 : 0;
      if (calm == 3) return;
      if (last.empty()) continue;
      if (Clock::now() - begun > limits.settle) break;
      pump(milliseconds(5));
    }
    fail(last);
  }

  void pump(milliseconds limit) {
    poll_once(limit);
    for (ServiceEnd& end : services) serve(end);
  }

  // What of this lane is in flight or waits; empty if nothing.
  std::string in_flight() {
    const std::string body = ask_control("/v1/consumers/" + name());
    if (body.empty()) return "turn: the control plane does not answer";
    const auto consumer = nlohmann::json::parse(body, nullptr, false);
    if (consumer.is_discarded()) return "turn: the control plane answers " + escaped(body, 200);
    const int running = consumer.value("running", -1), waiting = consumer.value("waiting", -1);
    if (running == 0 && waiting == 0) return {};
    return fmt::format("turn: {} in flight, {} waiting, after all is over", running, waiting);
  }

  std::string still_there() {
    if (std::string left = in_flight(); !left.empty()) return left;
    for (ServiceEnd& end : services) {
      if (!end.open() || end.is_probe || end.heard_end) continue;
      const bool whole =
          !end.heard.messages.empty() && end.heard.messages.back().complete && !end.heard.is_raw;
      const bool answered =
          end.answered + (end.message && !end.has_steps() ? 1 : 0) >= end.heard.messages.size();
      if (!whole || !answered || end.heard.messages.empty())
        return "a connection to the service stays open in mid-exchange";
    }
    return {};
  }

  std::string ask_control(const std::string& target) {
    const auto until = Clock::now() + std::max<milliseconds>(limits.settle, milliseconds(3000));
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (control < 0) control = connect_to(daemon_port, lane_number);
      if (control < 0) return {};
      const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: mgpu\r\n\r\n", target);
      ResponseReader reader;
      reader.asked.push_back({});
      bool dead = ::send(control, request.data(), request.size(), MSG_NOSIGNAL) < 0;
      while (!dead && Clock::now() < until) {
        pollfd look{.fd = control, .events = POLLIN, .revents = 0};
        if (::poll(&look, 1, 1) > 0) {
          std::array<char, kPiece> room;
          const ssize_t got = ::recv(control, room.data(), room.size(), 0);
          if (got <= 0 && !(got < 0 && errno == EAGAIN)) dead = true;
          if (got > 0) reader.feed({room.data(), static_cast<std::size_t>(got)});
          if (reader.complete() == 1) return reader.messages[0].body;
        } else {
          pump(milliseconds(0));  // a probe may want its answer meanwhile
        }
      }
      ::close(control);
      control = -1;
      if (!dead) return {};
    }
    return {};
  }

  // --- the transcript ---

  void progress() { last_progress = Clock::now(); }

  void fail(std::string what) {
    if (problem.empty()) problem = std::move(what);
    note("harness", "FAILS: " + problem);
  }

  void note(std::string_view who, std::string_view what) {
    if (log.size() > 20'000) return;
    const auto at = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
    log += fmt::format("  {:8.1f} ms  {}: {}\n", at, who, what);
  }
  void note_bytes(std::string_view who, std::string_view bytes) {
    if (log.size() > 20'000) return;
    note(who, fmt::format("\"{}\"", escaped(bytes, 700)));
  }

  unsigned lane_number;
  Limits limits;
  int listener = -1, control = -1;
  std::uint16_t port = 0, daemon_port = 0;
  std::uint32_t count = 0;

  Case played;
  Exchange exchange;
  std::string case_id;
  std::deque<std::string> left_cases;  // whose clients left before the end
  End client;
  ResponseReader response;
  std::list<ServiceEnd> services;
  Injection faulted;
  std::vector<std::size_t> served;  // attempts of each request
  std::string problem, log, before;
  bool client_left = false;  // as its script says
  Clock::time_point started{}, last_progress{};
};

Lane::Lane(unsigned number, Limits limits) : impl_(std::make_unique<Impl>(number, limits)) {}
Lane::~Lane() = default;
std::string Lane::name() const { return impl_->name(); }
std::uint16_t Lane::service_port() const { return impl_->port; }
void Lane::attach(std::uint16_t daemon_port) {
  impl_->daemon_port = daemon_port;
  if (impl_->control >= 0) ::close(impl_->control);
  impl_->control = -1;
}
Outcome Lane::play(const Case& wanted) { return impl_->play(wanted); }

}  // namespace mgpu::faults
