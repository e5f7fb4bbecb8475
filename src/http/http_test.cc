// Both sides over real loopback sockets, and a plain socket where a client misbehaves.
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/client.h"
#include "http/server.h"
#include "http/sockets.h"

namespace mgpu::http {
namespace {

using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

struct House {
  asio::io_context io{1};
  std::unique_ptr<Server> server;
  Client client{io.get_executor()};

  void serve(Server::Handler handler, ServerOptions options = {}) {
    auto started = Server::start(io, std::move(options), std::move(handler));
    ASSERT_TRUE(started) << started.error().detail;
    server = std::move(*started);
  }
  HostPort where() const { return {"127.0.0.1", server->port()}; }

  // Runs one story to its end; a story that hangs fails.
  void run(asio::awaitable<void> story) {
    bool done = false;
    auto ending = [](asio::awaitable<void> s, bool& flag) -> asio::awaitable<void> {
      co_await std::move(s);
      flag = true;
    };
    asio::co_spawn(io, ending(std::move(story), done), [&](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!done && std::chrono::steady_clock::now() < deadline) io.run_one_for(100ms);
    ASSERT_TRUE(done) << "the story hangs";
  }

  // A raw client that has asked.
  asio::awaitable<tcp::socket> connect_and_send(std::string request) {
    tcp::socket socket(io);
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), server->port());
    co_await socket.async_connect(endpoint, asio::use_awaitable);
    const auto out = asio::buffer(request);
    co_await asio::async_write(socket, out, asio::use_awaitable);
    co_return socket;
  }

  // What it gets back until the server closes.
  asio::awaitable<std::string> raw(std::string request) {
    auto connected = connect_and_send(std::move(request));
    tcp::socket socket = co_await std::move(connected);
    std::string answer;
    std::string piece(4096, '\0');
    while (true) {
      const auto in = asio::buffer(piece);
      auto [error, n] = co_await socket.async_read_some(in, kQuietly);
      if (error) co_return answer;
      answer.append(piece, 0, n);
    }
  }
};

// Its handler does nothing but watch whether the client goes away.
struct WatchingHouse : House {
  asio::steady_timer arrived{io, asio::steady_timer::time_point::max()};  // cancelled once it watches
  bool gone = false;

  WatchingHouse() {
    serve([this](Exchange& exchange) -> asio::awaitable<void> {
      arrived.cancel();
      co_await exchange.gone();
      gone = true;
    });
  }

  // The client does as it likes once it is watched, and closes; that must be seen.
  asio::awaitable<void> sees_it_go(std::string request, std::function<void(tcp::socket&)> before_it_goes) {
    auto connected = connect_and_send(std::move(request));
    tcp::socket socket = co_await std::move(connected);
    co_await arrived.async_wait(kQuietly);
    before_it_goes(socket);
    EXPECT_FALSE(gone);
    socket.close();
    while (!gone) co_await asio::post(asio::use_awaitable);
  }
};

asio::awaitable<void> echo(Exchange& exchange) {
  auto body = co_await read_all(exchange, kMiB);
  std::string text =
      exchange.head().method + " " + exchange.head().target + " " + (body ? *body : body.error().detail);
  Headers headers{{"X-Peer", exchange.address()}};
  co_await answer(exchange, 200, std::move(headers), std::move(text));
}

RequestHead post(std::string target) {
  return {.method = "POST", .target = std::move(target), .headers = {{"Host", "test"}}};
}

TEST(Http, AnswersAndKeepsTheConnectionForTheNextRequest) {
  House house;
  std::set<std::uint16_t> ports;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    ports.insert(exchange.port());
    co_await echo(exchange);
  });
  house.run([](House& h) -> asio::awaitable<void> {
    for (const std::string body : {"one", "two"}) {
      const HostPort where = h.where();
      RequestHead head = post("/echo");
      head.method = "PUT";  // what is not idempotent gets a connection of its own
      auto got = co_await fetch(h.client, where, head, body, 5s, kMiB);
      if (!got) ADD_FAILURE() << got.error().detail;
      if (got) EXPECT_EQ(got->body, "PUT /echo " + body);
    }
  }(house));
  EXPECT_EQ(ports.size(), 1U);
}

// Container engines listen there.
TEST(Http, AUnixSocketIsSpokenToLikeAnyOther) {
  char folder[] = "/tmp/mgpu-http-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/socket";
  House house;
  asio::local::stream_protocol::acceptor acceptor(house.io, asio::local::stream_protocol::endpoint(path));
  std::string heard;
  auto answer_once = [](auto& listening, std::string& head) -> asio::awaitable<void> {
    auto socket = co_await listening.async_accept(asio::use_awaitable);
    co_await asio::async_read_until(socket, asio::dynamic_buffer(head), "\r\n\r\n", asio::use_awaitable);
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
    const auto out = asio::buffer(answer);
    co_await asio::async_write(socket, out, asio::use_awaitable);
  };
  asio::co_spawn(house.io, answer_once(acceptor, heard), asio::detached);
  house.run([](House& h, std::string unix_path) -> asio::awaitable<void> {
    HostPort where{.host = std::move(unix_path)};
    const RequestHead head{.target = "/_ping"};
    auto got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_TRUE(got && got->body == "OK") << (got ? got->body : got.error().detail);
    where.host += "-not-there";
    got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_EQ(got.error().detail, "can't reach " + where.host + ": No such file or directory");
    where.host.append(200, 'x');
    got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_EQ(got.error().code, ErrorCode::service_down);
  }(house, path));
  EXPECT_TRUE(heard.starts_with("GET /_ping HTTP/1.1\r\n"));
  std::filesystem::remove_all(folder);
}

TEST(Http, PipelinedRequestsAreAnsweredInOrder) {
  House house;
  house.serve(echo);
  house.run([](House& h) -> asio::awaitable<void> {
    std::string two =
        "GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    const std::string answers = co_await h.raw(std::move(two));
    EXPECT_LT(answers.find("GET /a"), answers.find("GET /b"));
    EXPECT_NE(answers.find("GET /b"), std::string::npos);
  }(house));
}

TEST(Http, StreamsBothWaysPieceByPiece) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    AnswerHead head{.status = 200, .length = std::nullopt};
    co_await exchange.begin(std::move(head));
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write(std::move(*piece));
    }
    co_await exchange.finish();
  });
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where = h.where();
    RequestHead head = post("/stream");
    head.length = std::nullopt;
    auto request = co_await h.client.open(where, head);
    std::string first = "first";
    co_await (*request)->send(first);
    auto answer_head = co_await (*request)->answer();
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
  }(house));
}

// A client that hangs up is seen though its body was never read and though a later request lies in the
// socket.
TEST(Http, SeesAClientGoWhileNobodyReads) {
  WatchingHouse house;
  std::string request =
      "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + std::string(50'000, 'x');
  house.run(house.sees_it_go(std::move(request), [](tcp::socket&) {}));
}

TEST(Http, WaitingForAClientToGoCanBeCancelledAndTheConnectionGoesOn) {
  House house;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer soon(house.io, 1ms);
    co_await (exchange.gone() || soon.async_wait(kQuietly));
    co_await echo(exchange);
  });
  house.run([](House& h) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) {
      const HostPort where = h.where();
      const RequestHead head = post("/");
      auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
      EXPECT_TRUE(got);
    }
  }(house));
}

TEST(Http, AKeptConnectionThatDiedIsReplaced) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> { co_await echo(exchange); });
  house.run([](House& h) -> asio::awaitable<void> {
    for (int i = 0; i < 2; ++i) {
      const HostPort where = h.where();
      const RequestHead head = post("/");
      auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
      EXPECT_TRUE(got) << (got ? "" : got.error().detail);
      const std::string listen = "127.0.0.1:" + std::to_string(h.server->port());
      h.server.reset();
      h.serve(echo, {.listen = listen});
    }
  }(house));
}

TEST(Http, SaysWhatIsWrongWithWhatIsNoHttp) {
  House house;
  house.serve(echo, {.max_header = kKiB * 4});
  house.run([](House& h) -> asio::awaitable<void> {
    std::string rubbish = "hello\r\n\r\n";
    EXPECT_TRUE((co_await h.raw(std::move(rubbish))).starts_with("HTTP/1.1 400"));
    std::string large = "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n";
    EXPECT_TRUE((co_await h.raw(std::move(large))).starts_with("HTTP/1.1 413"));
  }(house));
}

TEST(Http, ABodyOverTheLimitIsToldAsTooLarge) {
  House house;
  house.serve(
      [](Exchange& exchange) -> asio::awaitable<void> {
        auto body = co_await read_all(exchange, kGiB);
        EXPECT_FALSE(body);
        std::string code(to_string(body.error().code));
        Headers none;
        co_await answer(exchange, 413, std::move(none), std::move(code));
      },
      {.max_body = kKiB});
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where = h.where();
    RequestHead head = post("/");
    head.length = std::nullopt;  // nobody can know beforehand
    auto request = co_await h.client.open(where, head);
    std::string much(4000, 'x');
    co_await (*request)->send(much);
    co_await (*request)->end_body();
    auto got = co_await (*request)->answer();
    EXPECT_TRUE(got && got->status == 413) << (got ? "" : got.error().detail);
    auto body = co_await (*request)->read();
    EXPECT_EQ(body.value_or(""), "too_large");
  }(house));
}

TEST(Http, SaysThatItClosesWhereTheBodyCannotBeReadToItsEnd) {
  House house;
  house.serve(
      [](Exchange& e) -> asio::awaitable<void> {
        Result<std::string> piece = co_await e.read();
        while (piece && !piece->empty()) piece = co_await e.read();
        Headers none;
        std::string why = "no";
        co_await answer(e, piece ? 200 : 413, std::move(none), std::move(why));
      },
      {.max_body = kKiB});
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" +
                          std::string(0x1000, 'x') + "\r\n0\r\n\r\n";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413")) << got;
    EXPECT_NE(got.find("\r\nConnection: close\r\n"), got.npos) << got;
  }(house));
}

TEST(Http, Asks100ContinueOnlyWhenTheBodyIsWanted) {
  House house;
  house.serve(echo);
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request =
        "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
        "2\r\n\r\nhi";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"));
  }(house));
}

TEST(Http, AfterAnUpgradeBytesPassRaw) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    AnswerHead head{.status = 101, .headers = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}};
    co_await exchange.begin(std::move(head));
    auto piece = co_await exchange.read();
    std::string back = "<" + *piece + ">";
    co_await exchange.write(std::move(back));
    co_await exchange.finish();
  });
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where = h.where();
    RequestHead head{.target = "/ws",
                     .headers = {{"Host", "t"}, {"Connection", "Upgrade"}, {"Upgrade", "websocket"}}};
    auto request = co_await h.client.open(where, head);
    co_await (*request)->end_body();
    auto got = co_await (*request)->answer();
    EXPECT_EQ(got->status, 101);
    std::string frame = "frame";
    co_await (*request)->send(frame);
    auto back = co_await (*request)->read();
    EXPECT_EQ(*back, "<frame>");
  }(house));
}

TEST(Http, AnAnswerThatBreaksOffIsNotTakenForAWholeOne) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    AnswerHead head{.status = 200, .length = std::nullopt};
    co_await exchange.begin(std::move(head));
    std::string half = "half";
    co_await exchange.write(std::move(half));
    exchange.break_off();
  });
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where = h.where();
    const RequestHead head = post("/");
    auto got = co_await fetch(h.client, where, head, "x", 5s, kMiB);
    EXPECT_FALSE(got);
  }(house));
}

TEST(Http, ATakenPortIsOneClearLine) {
  House house;
  house.serve(echo);
  const auto second =
      Server::start(house.io, {.listen = "127.0.0.1:" + std::to_string(house.server->port())}, echo);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().detail.find("the port is taken"), std::string::npos);
}

TEST(Http, NobodyThereIsServiceDown) {
  House house;
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where{"127.0.0.1", 1};
    const RequestHead head = post("/");
    auto got = co_await fetch(h.client, where, head, "", 5s, kMiB);
    EXPECT_FALSE(got);
    if (!got) EXPECT_EQ(got.error().code, ErrorCode::service_down);
  }(house));
}

// A service that answers the first request of a connection and fumbles the second, as `fumble` has it.
asio::awaitable<void> fumbling_service(tcp::acceptor& acceptor, int& connections, std::string fumble) {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kQuietly);
    if (error) co_return;
    ++connections;
    std::string words = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for (int i = 0; i < 2; ++i) {
      std::string request;
      auto room = asio::dynamic_buffer(request);
      auto [broken, n] = co_await asio::async_read_until(socket, room, "\r\n\r\n", kQuietly);
      if (broken) break;
      const auto out = asio::buffer(words);
      co_await asio::async_write(socket, out, kQuietly);
      words = fumble;
    }
  }
}

// One byte of an answer means that the service did the work; a POST may have been done in silence. Neither is
// asked for twice.
TEST(Http, OnlyWhatIsIdempotentAndUnansweredIsSentOnceMore) {
  struct Case {
    std::string fumble, method;
    int asked_on;
  };
  for (const auto& [fumble, method, asked_on] :
       {Case{"HTTP/1.1 2", "GET", 1}, Case{"", "POST", 1}, Case{"", "GET", 2}}) {
    House house;
    tcp::acceptor acceptor(house.io, {asio::ip::make_address("127.0.0.1"), 0});
    int connections = 0;
    asio::co_spawn(house.io, fumbling_service(acceptor, connections, fumble), asio::detached);
    house.run([](House& h, std::uint16_t port, std::string verb, bool resends) -> asio::awaitable<void> {
      for (int i = 0; i < 2; ++i) {
        const HostPort where{"127.0.0.1", port};
        RequestHead head = post("/");
        head.method = verb;
        auto request = co_await h.client.open(where, head);
        co_await (*request)->end_body();
        auto got = co_await (*request)->answer();
        EXPECT_EQ(got.has_value(), i == 0 || resends);
        EXPECT_EQ((*request)->resent(), i == 1 && resends);
        if (got) co_await (*request)->read();
        if (got) co_await (*request)->read();
      }
    }(house, acceptor.local_endpoint().port(), method, asked_on == 2));
    EXPECT_EQ(connections, asked_on) << method << " after \"" << fumble << '"';
    acceptor.close();
  }
}

TEST(Http, AbortingOnAKeptConnectionDoesNotAskAgain) {
  House house;
  asio::steady_timer arrived(house.io, asio::steady_timer::time_point::max());
  std::vector<std::string> asked;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asked.push_back(exchange.head().target);
    if (asked.back() == "/long") {
      arrived.cancel();
      co_await exchange.gone();
      co_return exchange.break_off();
    }
    co_await echo(exchange);
  });
  house.run([](House& h, asio::steady_timer& here) -> asio::awaitable<void> {
    const HostPort where = h.where();
    RequestHead head = post("/first");
    co_await fetch(h.client, where, head, "", 5s, kMiB);
    head.target = "/long";
    auto request = co_await h.client.open(where, head);
    co_await (*request)->end_body();
    auto give_up = [](asio::steady_timer& when, std::shared_ptr<Outgoing> what) -> asio::awaitable<void> {
      co_await when.async_wait(kQuietly);
      what->abort();
    };
    asio::co_spawn(h.io, give_up(here, *request), asio::detached);
    auto got = co_await (*request)->answer();
    EXPECT_FALSE(got);
    head.target = "/last";
    co_await fetch(h.client, where, head, "", 5s, kMiB);
  }(house, arrived));
  EXPECT_EQ(asked, (std::vector<std::string>{"/first", "/long", "/last"}));
}

TEST(Http, AnHttp10ClientGetsNoChunks) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    AnswerHead head{.status = 200, .length = std::nullopt};
    co_await exchange.begin(std::move(head));
    for (std::string piece : {"one ", "two"}) co_await exchange.write(std::move(piece));
    co_await exchange.finish();
  });
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.ends_with("\r\n\r\none two")) << got;
    EXPECT_EQ(got.find("Transfer-Encoding"), std::string::npos) << got;
  }(house));
}

TEST(Http, AnHttp10ClientMayKeepItsConnectionWhereTheLengthIsKnown) {
  House house;
  house.serve(echo);
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_NE(got.find("Connection: keep-alive"), std::string::npos) << got;
    EXPECT_TRUE(got.ends_with("GET /b ")) << got;
  }(house));
}

// What it asked for after the request that it left is nobody's any more.
TEST(Http, TheNextRequestOfAClientThatLeftIsNotServed) {
  House house;
  asio::steady_timer arrived(house.io, asio::steady_timer::time_point::max());
  std::vector<std::string> asked;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asked.push_back(exchange.head().target);
    arrived.cancel();
    co_await exchange.gone();
  });
  house.run([](House& h, asio::steady_timer& here) -> asio::awaitable<void> {
    std::string two = "GET /a HTTP/1.1\r\nHost: t\r\n\r\nGET /b HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(two));
    co_await here.async_wait(kQuietly);
    socket.close();
    while (h.server->connections() > 0) co_await asio::post(asio::use_awaitable);
  }(house, arrived));
  EXPECT_EQ(asked, (std::vector<std::string>{"/a"}));
}

// The next connection gets the same descriptor, and is watched for itself.
TEST(Http, AConnectionBrokenOffWhileItIsWatchedLeavesNoWatchBehind) {
  House house;
  asio::steady_timer arrived(house.io, asio::steady_timer::time_point::max());
  int left = 0;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    auto breaks = [](Exchange& e, asio::steady_timer& when) -> asio::awaitable<void> {
      co_await when.async_wait(kQuietly);
      e.break_off();
      co_await when.async_wait(kQuietly);  // the handler stays while others come
    };
    if (exchange.head().target == "/broken") {
      asio::steady_timer soon(house.io, 1ms);
      co_await (exchange.gone() && breaks(exchange, soon));
    } else {
      arrived.cancel();
      co_await exchange.gone();
      ++left;
      exchange.break_off();
    }
  });
  house.run([](House& h, asio::steady_timer& here, int& gone) -> asio::awaitable<void> {
    for (int i = 1; i <= 3; ++i) {
      std::string broken = "GET /broken HTTP/1.1\r\nHost: t\r\n\r\n";
      EXPECT_EQ(co_await h.raw(std::move(broken)), "");
      std::string request = "GET /watched HTTP/1.1\r\nHost: t\r\n\r\n";
      here.expires_at(asio::steady_timer::time_point::max());
      tcp::socket socket = co_await h.connect_and_send(std::move(request));
      co_await here.async_wait(kQuietly);
      socket.close();
      while (gone < i) co_await asio::post(asio::use_awaitable);
    }
  }(house, arrived, left));
}

TEST(Http, AClientThatStopsInTheMiddleOfItsBodyIsGivenUp) {
  House house;
  house.serve(
      [](Exchange& exchange) -> asio::awaitable<void> {
        auto body = co_await read_all(exchange, kMiB);
        EXPECT_FALSE(body);
        if (!body) EXPECT_EQ(body.error().code, ErrorCode::request_timeout);
        Headers none;
        std::string why = "too late";
        co_await answer(exchange, 408, std::move(none), std::move(why));
      },
      {.stall_limit = Duration{40'000}});
  house.run([](House& h) -> asio::awaitable<void> {
    std::string half = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf";
    const std::string got = co_await h.raw(std::move(half));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 408")) << got;
    EXPECT_NE(got.find("\r\nConnection: close\r\n"), got.npos) << got;
    EXPECT_TRUE(got.ends_with("too late")) << got;
  }(house));
}

TEST(Http, AClientThatStopsReadingIsGivenUpAndOneThatWaitsIsNot) {
  House house;
  bool given_up = false;
  house.serve(
      [&](Exchange& exchange) -> asio::awaitable<void> {
        if (exchange.head().target == "/waits") {
          asio::steady_timer long_after(house.io, 200ms);
          co_await (exchange.gone() || long_after.async_wait(kQuietly));
          co_return co_await echo(exchange);
        }
        AnswerHead head{.status = 200, .length = std::nullopt};
        auto sent = co_await exchange.begin(std::move(head));
        while (sent) {
          std::string much(64 * 1024, 'x');
          sent = co_await exchange.write(std::move(much));
        }
        EXPECT_EQ(sent.error().code, ErrorCode::cancelled);
        given_up = true;
      },
      {.stall_limit = Duration{40'000}});
  house.run([](House& h, bool& over) -> asio::awaitable<void> {
    std::string request = "GET /all HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(request));
    const HostPort where = h.where();
    RequestHead head = post("/waits");
    auto waited = co_await fetch(h.client, where, head, "x", 5s, kMiB);
    EXPECT_TRUE(waited);
    while (!over) co_await asio::post(asio::use_awaitable);
  }(house, given_up));
}

TEST(Http, LargeBodiesPassWholeInEitherFraming) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    AnswerHead head{.status = 200, .length = exchange.head().length};
    co_await exchange.begin(std::move(head));
    while (true) {
      auto piece = co_await exchange.read();
      if (!piece || piece->empty()) break;
      co_await exchange.write(std::move(*piece));
    }
    co_await exchange.finish();
  });
  house.run([](House& h) -> asio::awaitable<void> {
    std::string body;
    for (int i = 0; i < 100'000; ++i) body += std::to_string(i);
    for (const Length length : {Length{body.size()}, Length{}}) {
      const HostPort where = h.where();
      RequestHead head = post("/large");
      head.length = length;
      auto request = co_await h.client.open(where, head);
      auto sends = [](std::shared_ptr<Outgoing> to, const std::string& all) -> asio::awaitable<void> {
        for (std::size_t at = 0; at < all.size(); at += 7777) {
          std::string piece = all.substr(at, 7777);
          co_await to->send(std::move(piece));
        }
        co_await to->end_body();
      };
      asio::co_spawn(h.io, sends(*request, body), asio::detached);
      auto got = co_await (*request)->answer();
      EXPECT_TRUE(got && got->length == length);
      std::string back;
      while (true) {
        auto piece = co_await (*request)->read();
        if (!piece || piece->empty()) break;
        back += *piece;
      }
      EXPECT_TRUE(back == body) << back.size() << " of " << body.size();
    }
  }(house));
}

// A service that answers early and leaves the body unread, and a client that sends it in two pieces.
TEST(Http, AnEarlyAnswerReachesTheClientAndTheConnectionGoesOn) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    Headers none;
    std::string early = "early";
    co_await answer(exchange, 501, std::move(none), std::move(early));
  });
  house.run([](House& h) -> asio::awaitable<void> {
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
  }(house));
}

// Far more than is skipped: the client is still writing when the answer comes, and reads it all the same.
TEST(Http, AnEarlyAnswerIsNotResetAwayByTheRestOfALargeBody) {
  House house;
  house.serve([](Exchange& exchange) -> asio::awaitable<void> {
    Headers none;
    std::string early = "early";
    co_await answer(exchange, 413, std::move(none), std::move(early));
  });
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request =
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20000000\r\n\r\n" + std::string(20'000'000, 'x');
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.starts_with("HTTP/1.1 413")) << got;
    EXPECT_TRUE(got.ends_with("early")) << got;
  }(house));
}

TEST(Http, AHalfClosedClientIsStillThere) {
  House house;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asio::steady_timer later(house.io, 400ms);
    auto gone = exchange.gone();
    auto waited = later.async_wait(kQuietly);
    auto either = std::move(gone) || std::move(waited);
    const auto first = co_await std::move(either);
    EXPECT_EQ(first.index(), 1U) << "it only closed its sending side";
    co_await echo(exchange);
  });
  house.run([](House& h) -> asio::awaitable<void> {
    std::string request = "GET /half HTTP/1.1\r\nHost: t\r\n\r\n";
    tcp::socket socket = co_await h.connect_and_send(std::move(request));
    socket.shutdown(tcp::socket::shutdown_send);
    std::string received;
    auto room = asio::dynamic_buffer(received);
    co_await asio::async_read(socket, room, kQuietly);
    EXPECT_TRUE(received.ends_with("GET /half ")) << received;
  }(house));
}

TEST(Http, AHalfClosedClientThatLeavesInTheEndIsSeen) {
  WatchingHouse house;
  house.run(house.sees_it_go("GET /half HTTP/1.1\r\nHost: t\r\n\r\n",
                             [](tcp::socket& socket) { socket.shutdown(tcp::socket::shutdown_send); }));
}

// Its FIN waits in its own kernel behind a body that nobody reads.
TEST(Http, SeesAClientGoBehindALargeBodyThatNobodyReads) {
  WatchingHouse house;
  const auto fill = [](tcp::socket& socket) {
    socket.non_blocking(true);
    const std::string much(1'000'000, 'x');
    boost::system::error_code full;
    for (int i = 0; i < 50 && !full; ++i) socket.write_some(asio::buffer(much), full);
    EXPECT_EQ(full, asio::error::would_block) << "more than both kernels hold";
  };
  house.run(house.sees_it_go("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n\r\n", fill));
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
  House house;
  bool asked = false;
  house.serve([&](Exchange& exchange) -> asio::awaitable<void> {
    asked = has_keepalive_timer(house.server->port());
    co_await echo(exchange);
  });
  house.run([](House& h) -> asio::awaitable<void> {
    const HostPort where = h.where();
    const RequestHead head = post("/");
    co_await fetch(h.client, where, head, "x", 5s, kMiB);
  }(house));
  EXPECT_TRUE(asked);
}

// Idle connections make room; those of this machine are let in even where none is idle.
TEST(Http, AFullServerLetsNewcomersIn) {
  House house;
  std::vector<std::string> warnings;
  house.serve(echo,
              {.max_connections = 3, .warn = [&](const std::string& what) { warnings.push_back(what); }});
  house.run([](House& h) -> asio::awaitable<void> {
    std::vector<tcp::socket> idle;
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), h.server->port());
    for (int i = 0; i < 20; ++i) {
      idle.emplace_back(h.io);
      co_await idle.back().async_connect(endpoint, asio::use_awaitable);
    }
    std::string request = "GET /in HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.ends_with("GET /in ")) << got;
  }(house));
  EXPECT_EQ(warnings, std::vector<std::string>{"all limits.max_connections, 3, are open"});
}

TEST(Http, WhereAllConnectionsWorkAFewOfThisMachineAreLetInAndMarked) {
  House house;
  int waiting = 0;
  house.serve(
      [&](Exchange& exchange) -> asio::awaitable<void> {
        if (exchange.head().target == "/stays") {
          ++waiting;
          co_await exchange.gone();
          co_return;
        }
        Headers none;
        std::string mark = exchange.reserved() ? "reserved" : "usual";
        co_await answer(exchange, 200, std::move(none), std::move(mark));
      },
      {.max_connections = 2});
  house.run([](House& h, int& busy) -> asio::awaitable<void> {
    std::vector<tcp::socket> working;
    for (int i = 0; i < 2; ++i) {
      std::string stays = "GET /stays HTTP/1.1\r\nHost: t\r\n\r\n";
      working.push_back(co_await h.connect_and_send(std::move(stays)));
    }
    while (busy < 2) co_await asio::post(asio::use_awaitable);
    std::string request = "GET /in HTTP/1.1\r\nHost: t\r\n\r\n";
    const std::string got = co_await h.raw(std::move(request));
    EXPECT_TRUE(got.ends_with("reserved")) << got;
  }(house, waiting));
}

}  // namespace
}  // namespace mgpu::http
