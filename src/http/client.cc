#include "http/client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/un.h>

#include "http/body_decoder.h"
#include "http/head_parser.h"
#include "http/sockets.h"

namespace mgpu::http {
namespace {

using Clock = std::chrono::steady_clock;
using namespace asio::experimental::awaitable_operators;

constexpr std::size_t kReplayed = 64 * 1024;   // what is kept of a request in case its connection was dead
constexpr std::size_t kMaxHeads = 256 * 1024;  // of one answer: its head, and the interim ones before it

struct Wire {
  explicit Wire(const asio::any_io_executor& executor) : socket(executor) {}
  StreamSocket socket;
  ReceiveBuffer received;
  Clock::time_point idle_since{};
};

// A kept connection on which anything can be read was closed by the service, or is out of step.
bool still_quiet(Wire& wire) {
  pollfd look{.fd = wire.socket.native_handle(), .events = POLLIN | POLLRDHUP, .revents = 0};
  return wire.socket.is_open() && wire.received.empty() && ::poll(&look, 1, 0) == 0;
}

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kIdempotent{"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  return std::ranges::find(kIdempotent, method) != kIdempotent.end();
}

std::string name_of(const HostPort& where) {
  return is_unix(where) ? where.host : host_and_port(where.host, where.port);
}

using Endpoints = std::vector<StreamSocket::endpoint_type>;
using Located = std::pair<boost::system::error_code, Endpoints>;

Located unix_socket(const std::string& path) {
  using Local = asio::local::stream_protocol;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return {asio::error::name_too_long, {}};
  return {{}, {Local::endpoint(path)}};
}

// Where it may be: a name can stand for several addresses.
asio::awaitable<Located> locate(const HostPort& where) {
  if (is_unix(where)) co_return unix_socket(where.host);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(where.host == "localhost" ? "127.0.0.1" : where.host, error);
  if (!error) co_return Located{{}, {tcp::endpoint(address, where.port)}};
  tcp::resolver resolver(co_await asio::this_coro::executor);
  const std::string port = std::to_string(where.port);
  auto [failed, found] = co_await resolver.async_resolve(where.host, port, kQuietly);
  Located located{failed, {}};
  for (const auto& entry : found) located.second.emplace_back(entry.endpoint());
  co_return located;
}

// Errors also: timed_out.
asio::awaitable<boost::system::error_code> connect_to(StreamSocket& socket, const HostPort& where) {
  auto [error, endpoints] = co_await locate(where);
  if (error) co_return error;
  auto [refused, endpoint] = co_await asio::async_connect(socket, endpoints, kQuietly);
  co_return refused;
}

}  // namespace

struct Client::Pool : std::enable_shared_from_this<Client::Pool> {
  Pool(asio::any_io_executor ex, ClientOptions opts) : executor(std::move(ex)), options(opts) {}

  std::unique_ptr<Wire> take(const HostPort& where) {
    const auto found = kept.find(name_of(where));
    if (found == kept.end()) return nullptr;
    auto& idle = found->second;
    while (!idle.empty()) {
      std::unique_ptr<Wire> wire = std::move(idle.back());
      idle.pop_back();
      if (Clock::now() - wire->idle_since < options.idle_limit && still_quiet(*wire)) return wire;
    }
    return nullptr;
  }

  void give_back(const HostPort& where, std::unique_ptr<Wire> wire) {
    drop_old();
    auto& idle = kept[name_of(where)];
    if (idle.size() >= options.idle_connections) return;
    wire->idle_since = Clock::now();
    idle.push_back(std::move(wire));
  }

  // Services get a new port with each start: what their old ones left must not stay for ever.
  void drop_old() {
    const Clock::time_point oldest = Clock::now() - options.idle_limit;
    for (auto& [name, idle] : kept)
      std::erase_if(idle, [&](const auto& wire) { return wire->idle_since < oldest; });
    std::erase_if(kept, [](const auto& one) { return one.second.empty(); });
  }

  asio::awaitable<Result<std::unique_ptr<Wire>>> connect(const HostPort& where) {
    auto wire = std::make_unique<Wire>(executor);
    asio::steady_timer limit(executor, options.connect_limit);
    auto connected = connect_to(wire->socket, where);
    auto late = limit.async_wait(kQuietly);
    auto either = std::move(connected) || std::move(late);
    auto first = co_await std::move(either);
    boost::system::error_code error = asio::error::timed_out;
    if (first.index() == 0) error = std::get<0>(first);
    if (error)
      co_return fail(ErrorCode::service_down,
                     fmt::format("can't reach {}: {}", name_of(where), error.message()));
    wire->socket.set_option(tcp::no_delay(true), error);  // a Unix socket knows nothing of it
    wire->socket.non_blocking(true, error);
    co_return std::move(wire);
  }

  asio::any_io_executor executor;
  ClientOptions options;
  std::map<std::string, std::vector<std::unique_ptr<Wire>>> kept;
};

namespace {

template <class Pool>
class Request final : public Outgoing {
 public:
  Request(std::shared_ptr<Pool> pool, HostPort where, RequestHead head, std::unique_ptr<Wire> wire, bool kept)
      : pool_(std::move(pool)),
        where_(std::move(where)),
        head_(std::move(head)),
        wire_(std::move(wire)),
        kept_(kept),
        unsent_(to_wire(head_)) {}

  ~Request() override {
    if (reusable_ && wire_) pool_->give_back(where_, std::move(wire_));
  }

  asio::awaitable<Result<void>> send(std::string piece) override {
    if (piece.empty()) co_return Result<void>{};
    const bool chunked = !head_.length && !raw_;
    std::string front = std::exchange(unsent_, {});
    if (chunked) front += chunk_front(piece.size());
    const std::string_view back = chunked ? kChunkBack : std::string_view{};
    co_return co_await write(std::move(front), std::move(piece), back);
  }

  asio::awaitable<Result<void>> end_body() override {
    std::string out = std::exchange(unsent_, {});
    if (!head_.length) out += kLastChunk;
    auto sent = out.empty() ? Result<void>{} : co_await write(std::move(out));
    all_sent_ = sent.has_value();
    co_return sent;
  }

  asio::awaitable<Result<AnswerHead>> answer() override {
    auto head = co_await read_head();
    if (!head && may_resend()) {
      const HostPort where = where_;
      auto fresh = co_await pool_->connect(where);
      if (!fresh) co_return std::unexpected(fresh.error());
      if (aborted_) co_return fail(ErrorCode::service_down, "the request was given up");
      wire_ = std::move(*fresh);
      kept_ = false;
      resent_ = true;
      std::string again = sent_;
      if (auto written = co_await write(std::move(again)); !written)
        co_return std::unexpected(written.error());
      head = co_await read_head();
    }
    co_return head;
  }

  asio::awaitable<Result<std::string>> read() override {
    std::string piece;
    while (raw_ || !body_.done()) {
      if (!wire_->received.empty()) {
        const std::string_view received = wire_->received.view();
        const auto taken = raw_ ? take_raw(received, piece) : body_.feed(received, piece);
        if (!taken) co_return broke_off(taken.error().detail);
        wire_->received.consume(*taken);
        if (!piece.empty() || body_.done()) break;
      }
      const auto error = co_await receive(wire_->socket, wire_->received);
      if (error == asio::error::eof && raw_) co_return std::string{};
      if (error == asio::error::eof) {
        if (const auto complete = body_.end_of_input(); !complete) co_return broke_off("it ends too early");
        break;
      }
      if (error) co_return broke_off(error.message());
    }
    if (piece.empty()) reusable_ = keep_alive_ && all_sent_ && !aborted_ && wire_->received.empty();
    co_return piece;
  }

  void abort() override {
    aborted_ = true;
    reusable_ = false;
    boost::system::error_code ignored;
    if (wire_) wire_->socket.close(ignored);
  }

  void shutdown_send() override {
    boost::system::error_code ignored;
    if (wire_) wire_->socket.shutdown(StreamSocket::shutdown_send, ignored);
  }

  bool resent() const override { return resent_; }

 private:
  static Result<std::size_t> take_raw(std::string_view received, std::string& piece) {
    piece += received;
    return received.size();
  }

  std::unexpected<Error> broke_off(const std::string& why) const {
    return fail(ErrorCode::service_down, fmt::format("{} broke off its answer: {}", name_of(where_), why));
  }

  // One byte of an answer means that the service did the work; so may silence, unless nothing was taken.
  bool may_resend() const {
    const bool unbegun = sent_bytes_ == 0 || is_idempotent(head_.method);
    return kept_ && !aborted_ && !answered_ && all_sent_ && sent_.size() < kReplayed && unbegun;
  }

  asio::awaitable<Result<AnswerHead>> read_head() {
    std::size_t read = 0;  // of this head and of those before it
    while (true) {
      auto head = co_await next_head(read);
      if (!head)
        co_return fail(ErrorCode::service_down,
                       fmt::format("{} gave no answer: {}", name_of(where_), head.error().detail));
      const int status = head->head.status;
      if (status < 200 && status != 101) continue;
      raw_ = status == 101;
      const bool has_no_body = bodiless(status) || head_.method == "HEAD";
      body_ = has_no_body         ? BodyDecoder::of_length(0)
              : head->chunked     ? BodyDecoder::chunked({})
              : head->until_close ? BodyDecoder::until_close()
                                  : BodyDecoder::of_length(*head->head.length);
      // A body where none may be would be taken for the next answer.
      const bool in_step =
          head_.method == "HEAD" || !has_no_body || (!head->chunked && head->head.length.value_or(0) == 0);
      keep_alive_ = head->keep_alive && in_step && !raw_ && (has_no_body || !head->until_close);
      if (has_no_body && !head->chunked && !head->head.length) head->head.length = 0;
      co_return std::move(head->head);
    }
  }

  // `read`: what earlier heads of the same answer have taken. Errors: those of receive_head and the parser.
  asio::awaitable<Result<ParsedResponse>> next_head(std::size_t& read) {
    const auto size = co_await receive_head(wire_->socket, wire_->received, kMaxHeads - read, 0);
    answered_ |= !wire_->received.empty();  // also what is no whole head
    if (!size) co_return std::unexpected(size.error());
    auto parsed = parse_response_head(wire_->received.view().substr(0, *size));
    wire_->received.consume(*size);
    read += *size;
    co_return parsed;
  }

  asio::awaitable<Result<void>> write(std::string all) { return write(std::move(all), std::string{}, {}); }

  asio::awaitable<Result<void>> write(std::string front, std::string piece, std::string_view back) {
    if (kept_ && sent_.size() < kReplayed) sent_.append(front).append(piece).append(back);
    const std::array<asio::const_buffer, 3> source{asio::buffer(front), asio::buffer(piece),
                                                   asio::buffer(back)};
    auto [error, n] = co_await asio::async_write(wire_->socket, source, kQuietly);
    sent_bytes_ += n;
    // A dead kept connection is noticed again, and mended, when the answer is read.
    if (error && !(kept_ && !aborted_ && sent_.size() < kReplayed))
      co_return fail(ErrorCode::service_down,
                     fmt::format("{} stopped listening: {}", name_of(where_), error.message()));
    co_return Result<void>{};
  }

  std::shared_ptr<Pool> pool_;
  HostPort where_;
  RequestHead head_;
  std::unique_ptr<Wire> wire_;
  bool kept_;                     // an idle connection, not a fresh one
  std::string unsent_;            // the head, until something goes with it
  std::string sent_;              // what went out, to send it once more
  std::uint64_t sent_bytes_ = 0;  // that the kernel took: the service may have read them
  BodyDecoder body_ = BodyDecoder::of_length(0);
  bool aborted_ = false, all_sent_ = false, answered_ = false, reusable_ = false, raw_ = false;
  bool keep_alive_ = false, resent_ = false;
};

}  // namespace

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : pool_(std::make_shared<Pool>(std::move(executor), options)) {}
Client::~Client() = default;

asio::awaitable<Result<std::shared_ptr<Outgoing>>> Client::open(HostPort where, RequestHead head,
                                                                bool fresh) {
  const auto pool = pool_;
  std::unique_ptr<Wire> wire = fresh ? nullptr : pool->take(where);
  const bool kept = wire != nullptr;
  if (!kept) {
    auto connected = co_await pool->connect(where);
    if (!connected) co_return std::unexpected(connected.error());
    wire = std::move(*connected);
  }
  co_return std::make_shared<Request<Pool>>(pool, std::move(where), std::move(head), std::move(wire), kept);
}

namespace {

asio::awaitable<Result<Answer>> exchange(Client& client, HostPort where, RequestHead head, std::string body,
                                         Bytes max_answer) {
  head.length = body.size();
  const bool fresh = !is_idempotent(head.method);
  auto request = co_await client.open(std::move(where), std::move(head), fresh);
  if (!request) co_return std::unexpected(request.error());
  Outgoing& out = **request;
  if (auto sent = co_await out.send(std::move(body)); !sent) co_return std::unexpected(sent.error());
  if (auto ended = co_await out.end_body(); !ended) co_return std::unexpected(ended.error());
  auto answer_head = co_await out.answer();
  if (!answer_head) co_return std::unexpected(answer_head.error());
  Answer answer{.head = std::move(*answer_head)};
  while (true) {
    auto piece = co_await out.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return answer;
    answer.body += *piece;
    if (Bytes{static_cast<std::int64_t>(answer.body.size())} > max_answer)
      co_return fail(ErrorCode::service_down, "its answer is longer than " + to_string(max_answer));
  }
}

}  // namespace

asio::awaitable<Result<Answer>> fetch(Client& client, HostPort where, RequestHead head, std::string body,
                                      Duration limit, Bytes max_answer) {
  const std::string name = name_of(where);
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, limit);
  auto first = co_await (exchange(client, std::move(where), std::move(head), std::move(body), max_answer) ||
                         timer.async_wait(kQuietly));
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return fail(ErrorCode::service_down, fmt::format("{} did not answer within {}", name, to_string(limit)));
}

}  // namespace mgpu::http
