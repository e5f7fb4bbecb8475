// Client and server over real loopback sockets, and a plain socket where a client misbehaves.
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/awaitable.h"
#include "http/client.h"
#include "http/connection.h"
#include "http/listener.h"
#include "http/server.h"

namespace mgpu::http {
namespace {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using tcp = asio::ip::tcp;

struct HttpFixture {
  asio::io_context io{1};
  std::unique_ptr<Server> server;
  Client client{io.get_executor()};

  void serve(Server::Handler handler, ServerOptions options = {}) {
    auto started = Server::start(io, std::move(options), std::move(handler));
    ASSERT_TRUE(started) << started.error().detail;
    server = std::move(*started);
  }
  Endpoint where() const { return {.host = "127.0.0.1", .port = server->port()}; }

  // Runs one scenario to its end; one that hangs fails.
  void run(asio::awaitable<void> scenario) {
    bool done = false;
    auto run_and_mark = [](asio::awaitable<void> s, bool& flag) -> asio::awaitable<void> {
      co_await std::move(s);
      flag = true;
    };
    asio::co_spawn(io, run_and_mark(std::move(scenario), done), [&](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done && std::chrono::steady_clock::now() < deadline) io.run_one_for(100ms);
    ASSERT_TRUE(done) << "the scenario hangs";
  }

  // A plain socket that has sent `request`.
  asio::awaitable<tcp::socket> connect_and_send(std::string request) {
    tcp::socket socket(io);
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), server->port());
    co_await socket.async_connect(endpoint, asio::use_awaitable);
    const auto out = asio::buffer(request);
    co_await asio::async_write(socket, out, asio::use_awaitable);
    co_return socket;
  }

  // All that the server sends until it closes the connection.
  asio::awaitable<std::string> send_raw(std::string request) {
    auto connected = connect_and_send(std::move(request));
    tcp::socket socket = co_await std::move(connected);
    std::string answer;
    std::string piece(4096, '\0');
    while (true) {
      const auto in = asio::buffer(piece);
      auto [error, n] = co_await socket.async_read_some(in, kAsTuple);
      if (error) co_return answer;
      answer.append(piece, 0, n);
    }
  }
};

// A server whose handler only waits until the client disconnects.
struct HangupFixture : HttpFixture {
  asio::steady_timer watching{io, asio::steady_timer::time_point::max()};  // cancelled once the handler waits
  bool hangup_seen = false;

  HangupFixture() {
    serve([this](Exchange& exchange) -> asio::awaitable<void> {
      watching.cancel();
      co_await exchange.wait_until_disconnected();
      hangup_seen = true;
    });
  }

  // Runs the client's part once the handler waits, then closes; the handler must detect that.
  asio::awaitable<void> expect_hangup_seen(std::string request,
                                           std::function<void(tcp::socket&)> before_close) {
    auto connected = connect_and_send(std::move(request));
    tcp::socket socket = co_await std::move(connected);
    co_await watching.async_wait(kAsTuple);
    before_close(socket);
    EXPECT_FALSE(hangup_seen);
    socket.close();
    while (!hangup_seen) co_await asio::post(asio::use_awaitable);
  }
};

asio::awaitable<void> send_echo(Exchange& exchange) {
  auto body = co_await read_body(exchange, kMiB);
  std::string text =
      exchange.head().method + " " + exchange.head().target + " " + (body ? *body : body.error().detail);
  Headers headers{{"X-Peer", exchange.peer_address()}};
  co_await send_response(exchange, 200, std::move(headers), std::move(text));
}

RequestHead post_head(std::string target) {
  return {.method = "POST", .target = std::move(target), .headers = {{"Host", "test"}}};
}

TEST(Http, AnswersAndKeepsTheConnectionForTheNextRequest) {
  HttpFixture fixture;
  std::set<std::uint16_t> ports;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    ports.insert(exchange.peer_port());
    co_await send_echo(exchange);
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    for (const std::string body : {"one", "two"}) {
      const Endpoint where = h.where();
      RequestHead head = post_head("/echo");
      head.method = "PUT";  // a method that is not idempotent gets a new connection
      auto got = co_await fetch(h.client, where, head, body, 5s, kMiB);
      if (!got) ADD_FAILURE() << got.error().detail;
      if (got) EXPECT_EQ(got->body, "PUT /echo " + body);
    }
  }(fixture));
  EXPECT_EQ(ports.size(), 1U);
}

// Container engines listen on a Unix socket.
TEST(Http, AUnixSocketIsSpokenToLikeAnyOther) {
  char folder[] = "/tmp/mgpu-http-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/socket";
  HttpFixture fixture;
  asio::local::stream_protocol::acceptor acceptor(fixture.io, asio::local::stream_protocol::endpoint(path));
  std::string received_head;
  auto answer_once = [](auto& listening, std::string& head) -> asio::awaitable<void> {
    auto socket = co_await listening.async_accept(asio::use_awaitable);
    co_await asio::async_read_until(socket, asio::dynamic_buffer(head), "\r\n\r\n", asio::use_awaitable);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    const auto out = asio::buffer(answer);
    co_await asio::async_write(socket, out, asio::use_awaitable);
  };
  asio::co_spawn(fixture.io, answer_once(acceptor, received_head), asio::detached);
  fixture.run([](HttpFixture& h, std::string unix_path) -> asio::awaitable<void> {
    Endpoint where = unix_endpoint(std::move(unix_path));
    const RequestHead head{.target = "/_ping"};
    auto got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_TRUE(got && got->body == "OK") << (got ? got->body : got.error().detail);
    where.host += "-not-there";
    got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_EQ(got.error().detail, "can't reach " + where.host + ": No such file or directory");
    where.host.append(200, 'x');
    got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_EQ(got.error().code, ErrorCode::service_down);
  }(fixture, path));
  EXPECT_TRUE(received_head.starts_with("GET /_ping HTTP/1.1\r\n"));
  std::filesystem::remove_all(folder);
}

TEST(Http, PipelinedRequestsAreAnsweredInOrder) {
  HttpFixture fixture;
  fixture.serve(send_echo);
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string two =
        "GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    const std::string answers = co_await h.send_raw(std::move(two));
    EXPECT_LT(answers.find("GET /a"), answers.find("GET /b"));
    EXPECT_NE(answers.find("GET /b"), std::string::npos);
  }(fixture));
}

TEST(Http, StreamsBothWaysPieceByPiece) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    ResponseHead head{.status = 200, .length = std::nullopt};
    co_await exchange.send_head(std::move(head));
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write(std::move(*piece));
    }
    co_await exchange.finish();
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    RequestHead head = post_head("/stream");
    head.length = std::nullopt;
    auto request = co_await h.client.open(where, head);
    std::string first = "first";
    co_await (*request)->send(first);
    auto answer_head = co_await (*request)->read_response_head();
    EXPECT_EQ(answer_head->length, std::nullopt);
    auto piece = co_await (*request)->read();
    EXPECT_EQ(*piece, "first") << "before the last was even sent";
    std::string last = "last";
    co_await (*request)->send(last);
    co_await (*request)->end_body();
    piece = co_await (*request)->read();
    EXPECT_EQ(*piece, "last");
    piece = co_await (*request)->read();
    EXPECT_TRUE(piece->empty());
  }(fixture));
}

// A disconnect is detected although the client's body was never read and a later request is in the socket.
TEST(Http, SeesAClientGoWhileNobodyReads) {
  HangupFixture fixture;
  std::string request =
      "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + std::string(50'000, 'x');
  fixture.run(fixture.expect_hangup_seen(std::move(request), [](tcp::socket&) {}));
}

TEST(Http, WaitingForAClientToGoCanBeCancelledAndTheConnectionGoesOn) {
  HttpFixture fixture;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer soon(fixture.io, 1ms);
    co_await (exchange.wait_until_disconnected() || soon.async_wait(kAsTuple));
    co_await send_echo(exchange);
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      const Endpoint where = h.where();
      const RequestHead head = post_head("/");
      auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
      EXPECT_TRUE(got);
    }
  }(fixture));
}

TEST(Http, AKeptConnectionThatDiedIsReplaced) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> { co_await send_echo(exchange); });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      const Endpoint where = h.where();
      const RequestHead head = post_head("/");
      auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
      EXPECT_TRUE(got) << (got ? "" : got.error().detail);
      const Endpoint listen = h.where();
      h.server.reset();
      h.serve(send_echo, {.listen = listen});
    }
  }(fixture));
}

TEST(Http, SaysWhatIsWrongWithWhatIsNoHttp) {
  HttpFixture fixture;
  fixture.serve(send_echo, {.max_header = kKiB * 4});
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string rubbish = "hello\r\n\r\n";
    EXPECT_TRUE((co_await h.send_raw(std::move(rubbish))).starts_with("HTTP/1.1 400"));
    std::string large = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n";
    EXPECT_TRUE((co_await h.send_raw(std::move(large))).starts_with("HTTP/1.1 413"));
  }(fixture));
}

TEST(Http, ABodyOverTheLimitIsToldAsTooLarge) {
  HttpFixture fixture;
  fixture.serve(
      [](Exchange& exchange) -> asio::awaitable<void> {
        auto body = co_await read_body(exchange, kGiB);
        EXPECT_FALSE(body);
        std::string code(to_string(body.error().code));
        Headers none;
        co_await send_response(exchange, 413, std::move(none), std::move(code));
      },
      {.max_body = kKiB});
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    RequestHead head = post_head("/");
    head.length = std::nullopt;  // not known beforehand
    auto request = co_await h.client.open(where, head);
    std::string much(4000, 'x');
    co_await (*request)->send(much);
    co_await (*request)->end_body();
    auto got = co_await (*request)->read_response_head();
    EXPECT_TRUE(got && got->status == 413) << (got ? "" : got.error().detail);
    auto body = co_await (*request)->read();
    EXPECT_EQ(body.value_or(""), "too_large");
  }(fixture));
}

TEST(Http, ALiftedLimitCountsForNoKindOfBody) {
  for (const bool chunked : {false, true}) {
    HttpFixture fixture;
    fixture.serve(
        [](Exchange& exchange) -> asio::awaitable<void> {
          exchange.lift_body_limit();
          auto body = co_await read_body(exchange, kGiB);
          std::string size = body ? std::to_string(body->size()) : body.error().detail;
          Headers none;
          co_await send_response(exchange, 200, std::move(none), std::move(size));
        },
        {.max_body = kKiB});
    fixture.run([](HttpFixture& h, bool is_chunked) -> asio::awaitable<void> {
      std::string request =
          is_chunked ? "POST / HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n1000\r\n"
                     : "POST / HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 4096\r\n\r\n";
      request += std::string(4096, 'x') + (is_chunked ? "\r\n0\r\n\r\n" : "");
      const std::string got = co_await h.send_raw(std::move(request));
      EXPECT_TRUE(got.ends_with("\r\n\r\n4096")) << got;
    }(fixture, chunked));
  }
}

TEST(Http, SaysThatItClosesWhereTheBodyCannotBeReadToItsEnd) {
  HttpFixture fixture;
  fixture.serve(
      [](Exchange& e) -> asio::awaitable<void> {
        Result<std::string> piece = co_await e.read();
        while (piece && !piece->empty()) piece = co_await e.read();
        Headers none;
        std::string why = "no";
        co_await send_response(e, piece ? 200 : 413, std::move(none), std::move(why));
      },
      {.max_body = kKiB});
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" +
                          std::string(0x1000, 'x') + "\r\n0\r\n\r\n";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413")) << got;
    EXPECT_NE(got.find("\r\nConnection: close\r\n"), got.npos) << got;
  }(fixture));
}

TEST(Http, Asks100ContinueOnlyWhenTheBodyIsWanted) {
  HttpFixture fixture;
  fixture.serve(send_echo);
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request =
        "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
        "2\r\n\r\nhi";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
  }(fixture));
}

TEST(Http, AfterAnUpgradeBytesPassRaw) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    ResponseHead head{.status = 101, .headers = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}};
    co_await exchange.send_head(std::move(head));
    auto piece = co_await exchange.read();
    std::string back = "<" + *piece + ">";
    co_await exchange.write(std::move(back));
    co_await exchange.finish();
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    RequestHead head{.target = "/ws",
                     .headers = {{"Host", "t"}, {"Connection", "Upgrade"}, {"Upgrade", "websocket"}}};
    auto request = co_await h.client.open(where, head);
    co_await (*request)->end_body();
    auto got = co_await (*request)->read_response_head();
    EXPECT_EQ(got->status, 101);
    std::string frame = "frame";
    co_await (*request)->send(frame);
    auto back = co_await (*request)->read();
    EXPECT_EQ(*back, "<frame>");
  }(fixture));
}

TEST(Http, AnAnswerThatBreaksOffIsNotTakenForAWholeOne) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    ResponseHead head{.status = 200, .length = std::nullopt};
    co_await exchange.send_head(std::move(head));
    std::string half = "half";
    co_await exchange.write(std::move(half));
    exchange.abort();
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    const RequestHead head = post_head("/");
    auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
    EXPECT_FALSE(got);
  }(fixture));
}

TEST(Http, ATakenPortIsOneClearLine) {
  HttpFixture fixture;
  fixture.serve(send_echo);
  const auto second = Server::start(fixture.io, {.listen = fixture.where()}, send_echo);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().detail.find("the port is taken"), std::string::npos);
}

TEST(Http, NobodyThereIsServiceDown) {
  HttpFixture fixture;
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where{.host = "127.0.0.1", .port = 1};
    const RequestHead head = post_head("/");
    auto got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_FALSE(got);
    if (!got) EXPECT_EQ(got.error().code, ErrorCode::service_down);
  }(fixture));
}

// A service that responds to the first request of a connection normally, and to the second with
// `second_response`.
asio::awaitable<void> failing_service(tcp::acceptor& acceptor, int& connections,
                                      std::string second_response) {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kAsTuple);
    if (error) co_return;
    ++connections;
    std::string words = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (int i = 0; i < 2; ++i) {
      std::string request;
      auto room = asio::dynamic_buffer(request);
      auto [broken, n] = co_await asio::async_read_until(socket, room, "\r\n\r\n", kAsTuple);
      if (broken) break;
      const auto out = asio::buffer(words);
      co_await asio::async_write(socket, out, kAsTuple);
      words = second_response;
    }
  }
}

// After the first byte of a response the service has processed the request; a POST may be processed before
// that. Neither is resent.
TEST(Http, OnlyWhatIsIdempotentAndUnansweredIsSentOnceMore) {
  struct Case {
    std::string second_response, method;
    int expected_connections;
  };
  for (const auto& [second_response, method, expected_connections] :
       {Case{"HTTP/1.1 2", "GET", 1}, Case{"", "POST", 1}, Case{"", "GET", 2}}) {
    HttpFixture fixture;
    tcp::acceptor acceptor(fixture.io, {asio::ip::make_address("127.0.0.1"), 0});
    int connections = 0;
    asio::co_spawn(fixture.io, failing_service(acceptor, connections, second_response), asio::detached);
    fixture.run(
        [](HttpFixture& h, std::uint16_t port, std::string verb, bool resends) -> asio::awaitable<void> {
          for (int i = 0; i < 2; ++i) {
            const Endpoint where{.host = "127.0.0.1", .port = port};
            RequestHead head = post_head("/");
            head.method = verb;
            auto request = co_await h.client.open(where, head);
            co_await (*request)->end_body();
            auto got = co_await (*request)->read_response_head();
            EXPECT_EQ(got.has_value(), i == 0 || resends);
            EXPECT_EQ((*request)->was_resent(), i == 1 && resends);
            if (got) co_await (*request)->read();
            if (got) co_await (*request)->read();
          }
        }(fixture, acceptor.local_endpoint().port(), method, expected_connections == 2));
    EXPECT_EQ(connections, expected_connections) << method << " after \"" << second_response << '"';
    acceptor.close();
  }
}

TEST(Http, AbortingOnAKeptConnectionDoesNotAskAgain) {
  HttpFixture fixture;
  asio::steady_timer request_arrived(fixture.io, asio::steady_timer::time_point::max());
  std::vector<std::string> served_targets;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    served_targets.push_back(exchange.head().target);
    if (served_targets.back() == "/long") {
      request_arrived.cancel();
      co_await exchange.wait_until_disconnected();
      co_return exchange.abort();
    }
    co_await send_echo(exchange);
  });
  fixture.run([](HttpFixture& h, asio::steady_timer& request_arrived) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    RequestHead head = post_head("/first");
    co_await fetch(h.client, where, head, "", 5s, kMiB);
    head.target = "/long";
    auto request = co_await h.client.open(where, head);
    co_await (*request)->end_body();
    auto abort_when = [](asio::steady_timer& when,
                         std::shared_ptr<ClientRequest> what) -> asio::awaitable<void> {
      co_await when.async_wait(kAsTuple);
      what->abort();
    };
    asio::co_spawn(h.io, abort_when(request_arrived, *request), asio::detached);
    auto got = co_await (*request)->read_response_head();
    EXPECT_FALSE(got);
    head.target = "/last";
    co_await fetch(h.client, where, head, "", 5s, kMiB);
  }(fixture, request_arrived));
  EXPECT_EQ(served_targets, (std::vector<std::string>{"/first", "/long", "/last"}));
}

TEST(Http, AnHttp10ClientGetsNoChunks) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    ResponseHead head{.status = 200, .length = std::nullopt};
    co_await exchange.send_head(std::move(head));
    for (std::string piece : {"one ", "two"}) co_await exchange.write(std::move(piece));
    co_await exchange.finish();
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.ends_with("\r\n\r\none two")) << got;
    EXPECT_EQ(got.find("Transfer-Encoding"), std::string::npos) << got;
  }(fixture));
}

TEST(Http, AnHttp10ClientMayKeepItsConnectionWhereTheLengthIsKnown) {
  HttpFixture fixture;
  fixture.serve(send_echo);
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_NE(got.find("Connection: keep-alive"), std::string::npos) << got;
    EXPECT_TRUE(got.ends_with("GET /b ")) << got;
  }(fixture));
}

// A request sent after one whose client has disconnected must not be served.
TEST(Http, TheNextRequestOfAClientThatLeftIsNotServed) {
  HttpFixture fixture;
  asio::steady_timer request_arrived(fixture.io, asio::steady_timer::time_point::max());
  std::vector<std::string> served_targets;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    served_targets.push_back(exchange.head().target);
    request_arrived.cancel();
    co_await exchange.wait_until_disconnected();
  });
  fixture.run([](HttpFixture& h, asio::steady_timer& request_arrived) -> asio::awaitable<void> {
    std::string two = "GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(two));
    co_await request_arrived.async_wait(kAsTuple);
    socket.close();
    while (h.server->connection_count() > 0) co_await asio::post(asio::use_awaitable);
  }(fixture, request_arrived));
  EXPECT_EQ(served_targets, (std::vector<std::string>{"/a"}));
}

// The next connection gets the same descriptor number, and must be watched independently.
TEST(Http, AConnectionBrokenOffWhileItIsWatchedLeavesNoWatchBehind) {
  HttpFixture fixture;
  asio::steady_timer watching(fixture.io, asio::steady_timer::time_point::max());
  int hangup_count = 0;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    auto abort_after = [](Exchange& e, asio::steady_timer& when) -> asio::awaitable<void> {
      co_await when.async_wait(kAsTuple);
      e.abort();
      co_await when.async_wait(kAsTuple);  // the handler stays while other connections come
    };
    if (exchange.head().target == "/broken") {
      asio::steady_timer soon(fixture.io, 1ms);
      co_await (exchange.wait_until_disconnected() && abort_after(exchange, soon));
    } else {
      watching.cancel();
      co_await exchange.wait_until_disconnected();
      ++hangup_count;
      exchange.abort();
    }
  });
  fixture.run([](HttpFixture& h, asio::steady_timer& watching, int& hangups_seen) -> asio::awaitable<void> {
    for (int i = 1; i <= 3; ++i) {
      std::string broken = "GET /broken HTTP/1.1\r\nHost: t\r\n\r\n";
      EXPECT_EQ(co_await h.send_raw(std::move(broken)), "");
      std::string request = "GET /watched HTTP/1.1\r\nHost: t\r\n\r\n";
      watching.expires_at(asio::steady_timer::time_point::max());
      tcp::socket socket = co_await h.connect_and_send(std::move(request));
      co_await watching.async_wait(kAsTuple);
      socket.close();
      while (hangups_seen < i) co_await asio::post(asio::use_awaitable);
    }
  }(fixture, watching, hangup_count));
}

TEST(Http, AClientThatStopsInTheMiddleOfItsBodyIsGivenUp) {
  HttpFixture fixture;
  fixture.serve(
      [](Exchange& exchange) -> asio::awaitable<void> {
        auto body = co_await read_body(exchange, kMiB);
        EXPECT_FALSE(body);
        if (!body) EXPECT_EQ(body.error().code, ErrorCode::request_timeout);
        Headers none;
        std::string why = "too late";
        co_await send_response(exchange, 408, std::move(none), std::move(why));
      },
      {.stall_limit = Duration{40'000}});
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string half = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf";
    const std::string got = co_await h.send_raw(std::move(half));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 408")) << got;
    EXPECT_NE(got.find("\r\nConnection: close\r\n"), got.npos) << got;
    EXPECT_TRUE(got.ends_with("too late")) << got;
  }(fixture));
}

TEST(Http, AClientThatStopsReadingIsGivenUpAndOneThatWaitsIsNot) {
  HttpFixture fixture;
  bool given_up = false;
  fixture.serve(
      [&](Exchange& exchange) -> asio::awaitable<void> {
        if (exchange.head().target == "/waits") {
          asio::steady_timer long_after(fixture.io, 200ms);
          co_await (exchange.wait_until_disconnected() || long_after.async_wait(kAsTuple));
          co_return co_await send_echo(exchange);
        }
        ResponseHead head{.status = 200, .length = std::nullopt};
        auto sent = co_await exchange.send_head(std::move(head));
        while (sent) {
          std::string much(64 * 1024, 'x');
          sent = co_await exchange.write(std::move(much));
        }
        EXPECT_EQ(sent.error().code, ErrorCode::cancelled);
        given_up = true;
      },
      {.stall_limit = Duration{40'000}});
  fixture.run([](HttpFixture& h, bool& writer_gave_up) -> asio::awaitable<void> {
    std::string request = "GET /all HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(request));
    const Endpoint where = h.where();
    RequestHead head = post_head("/waits");
    auto waited = co_await fetch(h.client, where, head, "x", 5s, kMiB);
    EXPECT_TRUE(waited);
    while (!writer_gave_up) co_await asio::post(asio::use_awaitable);
  }(fixture, given_up));
}

TEST(Http, LargeBodiesPassWholeInEitherFraming) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    ResponseHead head{.status = 200, .length = exchange.head().length};
    co_await exchange.send_head(std::move(head));
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write(std::move(*piece));
    }
    co_await exchange.finish();
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string body;
    for (int i = 0; i < 100'000; ++i) body += std::to_string(i);
    for (const BodyLength length : {BodyLength{body.size()}, BodyLength{}}) {
      const Endpoint where = h.where();
      RequestHead head = post_head("/large");
      head.length = length;
      auto request = co_await h.client.open(where, head);
      auto send_in_pieces = [](std::shared_ptr<ClientRequest> to,
                               const std::string& all) -> asio::awaitable<void> {
        for (std::size_t at = 0; at < all.size(); at += 7777) {
          std::string piece = all.substr(at, 7777);
          co_await to->send(std::move(piece));
        }
        co_await to->end_body();
      };
      asio::co_spawn(h.io, send_in_pieces(*request, body), asio::detached);
      auto got = co_await (*request)->read_response_head();
      EXPECT_TRUE(got && got->length == length);
      std::string back;
      while (true) {
        auto piece = co_await (*request)->read();
        if (!piece || piece->empty()) break;
        back += *piece;
      }
      EXPECT_TRUE(back == body) << back.size() << " of " << body.size();
    }
  }(fixture));
}

// A service that responds early and leaves the body unread, and a client that sends it in two pieces.
TEST(Http, AnEarlyAnswerReachesTheClientAndTheConnectionGoesOn) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    Headers none;
    std::string early = "early";
    co_await send_response(exchange, 501, std::move(none), std::move(early));
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    tcp::socket socket(h.io);
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), h.server->port());
    co_await socket.async_connect(endpoint, asio::use_awaitable);
    std::string received;
    for (int i = 1; i <= 3; ++i) {
      const std::string first = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc";
      const auto head = asio::buffer(first);
      co_await asio::async_write(socket, head, asio::use_awaitable);
      auto room = asio::dynamic_buffer(received);
      const auto n = co_await asio::async_read_until(socket, room, "early", asio::use_awaitable);
      EXPECT_TRUE(received.starts_with("HTTP/1.1 501")) << received;
      received.erase(0, n);
      const std::string last = "def";
      const auto rest = asio::buffer(last);
      co_await asio::async_write(socket, rest, asio::use_awaitable);
    }
  }(fixture));
}

// Far more than is skipped: the client still sends when the response arrives, and must be able to read it.
TEST(Http, AnEarlyAnswerIsNotResetAwayByTheRestOfALargeBody) {
  HttpFixture fixture;
  fixture.serve([](Exchange& exchange) -> asio::awaitable<void> {
    Headers none;
    std::string early = "early";
    co_await send_response(exchange, 413, std::move(none), std::move(early));
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request =
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20000000\r\n\r\n" + std::string(20'000'000, 'x');
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413")) << got;
    EXPECT_TRUE(got.ends_with("early")) << got;
  }(fixture));
}

TEST(Http, AHalfClosedClientIsStillThere) {
  HttpFixture fixture;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer later(fixture.io, 400ms);
    auto gone = exchange.wait_until_disconnected();
    auto waited = later.async_wait(kAsTuple);
    auto either = std::move(gone) || std::move(waited);
    const auto first = co_await std::move(either);
    EXPECT_EQ(first.index(), 1U) << "it only closed its sending side";
    co_await send_echo(exchange);
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::string request = "GET /half HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(request));
    socket.shutdown(tcp::socket::shutdown_send);
    std::string received;
    auto room = asio::dynamic_buffer(received);
    co_await asio::async_read(socket, room, kAsTuple);
    EXPECT_TRUE(received.ends_with("GET /half ")) << received;
  }(fixture));
}

TEST(Http, AHalfClosedClientThatLeavesInTheEndIsSeen) {
  HangupFixture fixture;
  fixture.run(fixture.expect_hangup_seen("GET /half HTTP/1.1\r\nHost: t\r\n\r\n", [](tcp::socket& socket) {
    socket.shutdown(tcp::socket::shutdown_send);
  }));
}

// The FIN stays in the client's kernel behind a body that is not read.
TEST(Http, SeesAClientGoBehindALargeBodyThatNobodyReads) {
  HangupFixture fixture;
  const auto fill = [](tcp::socket& socket) {
    socket.non_blocking(true);
    const std::string much(1'000'000, 'x');
    boost::system::error_code full;
    for (int i = 0; i < 50 && !full; ++i) socket.write_some(asio::buffer(much), full);
    EXPECT_EQ(full, asio::error::would_block) << "more than both kernels hold";
  };
  fixture.run(
      fixture.expect_hangup_seen("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n\r\n", fill));
}

// The kernel's own list: a connection whose keepalive timer runs has "02:..." in its sixth column.
bool has_keepalive_timer(std::uint16_t local_port) {
  std::ifstream connections("/proc/net/tcp");
  const std::string ours = fmt::format(":{:04X} ", local_port);
  for (std::string line; std::getline(connections, line);) {
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer;
    words >> number >> local >> remote >> state >> queues >> timer;
    if ((local + " ").ends_with(ours) && state == "01" && timer.starts_with("02:")) return true;
  }
  return false;
}

// A program on another machine that holds a lease and loses power sends no FIN.
TEST(Http, ASilentPeerIsAskedWhetherItIsStillThere) {
  HttpFixture fixture;
  bool keepalive_set = false;
  fixture.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    keepalive_set = has_keepalive_timer(fixture.server->port());
    co_await send_echo(exchange);
  });
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    const Endpoint where = h.where();
    const RequestHead head = post_head("/");
    co_await fetch(h.client, where, head, "x", 5s, kMiB);
  }(fixture));
  EXPECT_TRUE(keepalive_set);
}

// Idle connections make room; clients of this machine are accepted even where none is idle.
TEST(Http, AFullServerLetsNewcomersIn) {
  HttpFixture fixture;
  std::vector<std::string> warnings;
  fixture.serve(send_echo,
                {.max_connections = 3, .warn = [&](const std::string& what) { warnings.push_back(what); }});
  fixture.run([](HttpFixture& h) -> asio::awaitable<void> {
    std::vector<tcp::socket> idle;
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), h.server->port());
    for (int i = 0; i < 20; ++i) {
      idle.emplace_back(h.io);
      co_await idle.back().async_connect(endpoint, asio::use_awaitable);
    }
    std::string request = "GET /in HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.ends_with("GET /in ")) << got;
  }(fixture));
  EXPECT_EQ(warnings, std::vector<std::string>{"all limits.max_connections, 3, are open"});
}

TEST(Http, WhereAllConnectionsWorkAFewOfThisMachineAreLetInAndMarked) {
  HttpFixture fixture;
  int waiting = 0;
  fixture.serve(
      [&](Exchange& exchange) -> asio::awaitable<void> {
        if (exchange.head().target == "/stays") {
          ++waiting;
          co_await exchange.wait_until_disconnected();
          co_return;
        }
        Headers none;
        std::string mark = exchange.is_reserved() ? "reserved" : "usual";
        co_await send_response(exchange, 200, std::move(none), std::move(mark));
      },
      {.max_connections = 2});
  fixture.run([](HttpFixture& h, int& waiting_count) -> asio::awaitable<void> {
    std::vector<tcp::socket> working;
    for (int i = 0; i < 2; ++i) {
      std::string stays = "GET /stays HTTP/1.1\r\nHost: t\r\n\r\n";
      working.push_back(co_await h.connect_and_send(std::move(stays)));
    }
    while (waiting_count < 2) co_await asio::post(asio::use_awaitable);
    std::string request = "GET /in HTTP/1.1\r\nHost: t\r\n\r\n";
    const std::string got = co_await h.send_raw(std::move(request));
    EXPECT_TRUE(got.ends_with("reserved")) << got;
  }(fixture, waiting));
}

}  // namespace
}  // namespace mgpu::http
