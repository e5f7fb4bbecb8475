#include "mgpu/client.h"

#include <atomic>
#include <future>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "client/api_calls.h"
#include "client/fake_daemon.h"
#include "client/url.h"

namespace mgpu::client {
namespace {

using Caller = FakeDaemon::Caller;

const std::string kGrantedEvent = R"({"event":"granted","ticket":7})";

// Grants at once, and notices when the caller closes the connection.
struct GrantingDaemon {
  std::promise<void> caller_closed{};
  FakeDaemon daemon{[this](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(kGrantedEvent);
    caller.wait_for_close();
    caller_closed.set_value();
  }};
  bool is_lease_released() {
    return caller_closed.get_future().wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  }
};

TEST(Client, RunsTheJobInItsTurnAndReturnsItsValue) {
  GrantingDaemon granting;
  const auto result = Client(granting.daemon.url()).run("tts", {}, [] { return std::string("spoken"); });
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "spoken");
  EXPECT_TRUE(granting.is_lease_released());
}

TEST(Client, GivesBackWhenTheJobThrows) {
  GrantingDaemon granting;
  EXPECT_THROW(
      (void)Client(granting.daemon.url()).run("tts", {}, []() -> int { throw std::runtime_error("hoarse"); }),
      std::runtime_error);
  EXPECT_TRUE(granting.is_lease_released());
}

TEST(Client, AJobMayReturnNothingAndSeeItsLease) {
  GrantingDaemon granting;
  std::uint64_t ticket = 0;
  EXPECT_TRUE(Client(granting.daemon.url()).run("tts", {}, [&](Lease& lease) { ticket = lease.ticket(); }));
  EXPECT_EQ(ticket, 7u);
}

TEST(Client, AsksForWhatWasRequested) {
  std::promise<std::string> request_sent;
  FakeDaemon daemon([&](Caller& caller) {
    request_sent.set_value(caller.read_request());
    caller.send_response("507 Insufficient Storage",
                         R"({"error":{"code":"never_fits","message":"2 GiB too large"}})");
  });
  const auto lease = Client(daemon.url())
                         .acquire({.bytes = 6,
                                   .device = "gpu1",
                                   .wait_limit = std::chrono::seconds(2),
                                   .priority = "batch",
                                   .user = "ada",
                                   .deadline = std::chrono::milliseconds(1500)});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.failure().code, "never_fits");
  EXPECT_EQ(lease.failure().detail, "2 GiB too large");
  const std::string request = request_sent.get_future().get();
  EXPECT_TRUE(request.starts_with("POST /v1/leases HTTP/1.1\r\n"));
  const Json body = Json::parse(request.substr(request.find("\r\n\r\n") + 4));
  EXPECT_EQ(body["bytes"], 6);
  EXPECT_EQ(body["device"], "gpu1");
  EXPECT_EQ(body["wait_limit"], "2000ms");
  EXPECT_EQ(body["priority"], "batch");
  EXPECT_EQ(body["user"], "ada");
  EXPECT_EQ(body["deadline"], "1500ms");
  EXPECT_EQ(body["bind"], "connection");
  EXPECT_EQ(body["pid"], getpid());
  EXPECT_FALSE(body.contains("consumer"));
}

TEST(Client, TellsWhereItStandsInTheLine) {
  FakeDaemon daemon([](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(R"({"event":"waiting","ticket":7,"place":2})");
    caller.send_line(R"({"event":"waiting","ticket":7,"place":1})");
    caller.send_line(kGrantedEvent);
    caller.wait_for_close();
  });
  std::vector<std::string> places;
  const auto lease = Client(daemon.url()).acquire({.consumer = "tts", .on_waiting = [&](const Waiting& at) {
                                                     places.push_back(std::to_string(at.place));
                                                   }});
  EXPECT_TRUE(lease);
  EXPECT_EQ(places, (std::vector<std::string>{"2", "1"}));
}

TEST(Client, AStopRequestLeavesTheLine) {
  std::promise<void> caller_closed;
  FakeDaemon daemon([&](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(R"({"event":"waiting","ticket":7,"place":1})");
    caller.wait_for_close();
    caller_closed.set_value();
  });
  std::stop_source source;
  const auto lease =
      Client(daemon.url())
          .acquire({.consumer = "tts", .on_waiting = [&](const Waiting&) { source.request_stop(); }},
                   source.get_token());
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.failure().code, "cancelled");
  caller_closed.get_future().get();
}

TEST(Client, AStopRequestFromAnotherThreadWakesTheWaitingOne) {
  std::promise<void> request_sent;
  FakeDaemon daemon([&](Caller& caller) {
    caller.read_request();
    request_sent.set_value();
    caller.wait_for_close();  // not even a head
  });
  std::stop_source source;
  std::thread other([&] {
    request_sent.get_future().get();
    source.request_stop();
  });
  EXPECT_EQ(Client(daemon.url()).acquire({.consumer = "tts"}, source.get_token()).failure().code,
            "cancelled");
  other.join();
}

TEST(Client, ARefusalInTheStreamIsAFailure) {
  FakeDaemon daemon([](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(R"({"event":"waiting","ticket":7,"place":1})");
    caller.send_line(R"({"event":"ended","error":{"code":"wait_limit","message":"waited 2 s"}})");
  });
  EXPECT_EQ(Client(daemon.url()).acquire({.consumer = "tts"}).failure().code, "wait_limit");
}

TEST(Lease, TellsThatItEndedEarly) {
  std::promise<void> end;
  FakeDaemon daemon([&](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(kGrantedEvent);
    end.get_future().get();
    caller.send_line(R"({"event":"ended","error":{"code":"service_down","message":"it died"}})");
    caller.wait_for_close();
  });
  auto lease = Client(daemon.url()).acquire({.consumer = "tts"});
  ASSERT_TRUE(lease);
  EXPECT_FALSE(lease->ended());
  end.set_value();
  std::optional<Failure> why;
  while (!(why = lease->ended())) std::this_thread::yield();
  EXPECT_EQ(why->code, "service_down");
  EXPECT_EQ(lease->ended()->code, "service_down");
}

TEST(Lease, EndsWithTheDaemon) {
  FakeDaemon daemon([](Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(kGrantedEvent);
  });
  auto lease = Client(daemon.url()).acquire({.consumer = "tts"});
  ASSERT_TRUE(lease);
  std::optional<Failure> why;
  while (!(why = lease->ended())) std::this_thread::yield();
  EXPECT_EQ(why->code, "unavailable");
}

TEST(Lease, MovesAndIsGivenBackOnce) {
  GrantingDaemon granting;
  auto lease = Client(granting.daemon.url()).acquire({.consumer = "tts"});
  ASSERT_TRUE(lease);
  Lease moved = std::move(*lease);
  EXPECT_EQ(moved.ticket(), 7u);
  moved.release();
  moved.release();
  EXPECT_TRUE(granting.is_lease_released());
  EXPECT_FALSE(moved.ended());
}

TEST(Client, SaysWhenNobodyIsThere) {
  std::string url;
  {
    url = FakeDaemon([](Caller&) {}).url();
  }
  const auto lease = Client(url).acquire({.consumer = "tts"});
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.failure().code, "unavailable");
  EXPECT_NE(lease.failure().detail.find("mgpu serve"), std::string::npos);
}

TEST(Client, SaysWhenSomebodyElseIsThere) {
  FakeDaemon daemon([](Caller& caller) {
    caller.read_request();
    caller.send_response("404 Not Found", "<html>nginx</html>");
  });
  EXPECT_EQ(Client(daemon.url()).acquire({.consumer = "tts"}).failure().code, "internal");
  EXPECT_EQ(get(daemon.url(), "/v1/status").failure().code, "internal");
}

TEST(Calls, AnswersAreJson) {
  FakeDaemon daemon([](Caller& caller) {
    const std::string request = caller.read_request();
    if (request.starts_with("GET /v1/status ")) caller.send_response("200 OK", R"({"queue_depth": 3})");
    if (request.starts_with("POST "))
      caller.send_response("409 Conflict", R"({"error":{"code":"busy","message":"in use"}})");
    if (request.starts_with("DELETE ")) caller.send("HTTP/1.1 204 No Content\r\n\r\n");
  });
  EXPECT_EQ(get(daemon.url(), "/v1/status")->at("queue_depth"), 3);
  EXPECT_EQ(post(daemon.url(), "/v1/consumers/chat/unload").failure().code, "busy");
  EXPECT_TRUE(del(daemon.url(), "/v1/line/7"));
}

TEST(Calls, EventsAreFollowedFromTheLastOneSeen) {
  std::promise<std::string> request_sent;
  FakeDaemon daemon([&](Caller& caller) {
    request_sent.set_value(caller.read_request());
    caller.send(
        "HTTP/1.1 200 OK\r\n\r\n: hello\n\nid: 8\nevent: granted\ndata: {\"a\":\ndata: 1}\n\nid: 9\ndata: "
        "x\n\n");
  });
  std::vector<std::string> seen;
  EXPECT_TRUE(follow_events(daemon.url(), "/v1/events", "7", [&](const ServerSentEvent& event) {
    seen.push_back(event.id + " " + event.type + " " + event.data);
    return true;
  }));
  EXPECT_EQ(seen, (std::vector<std::string>{"8 granted {\"a\":\n1}", "9  x"}));
  EXPECT_NE(request_sent.get_future().get().find("Last-Event-ID: 7\r\n"), std::string::npos);
}

TEST(Url, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(parse_url("http://127.0.0.1:8090/")->port, "8090");
  EXPECT_EQ(parse_url("gpu-box:8090")->host, "gpu-box");
  EXPECT_EQ(parse_url("http://[::1]:8090")->host, "::1");
  EXPECT_EQ(parse_url("http://gpu-box")->port, "80");
  for (const char* bad : {"", "https://x", "http://x:y", "http://x/y", "http://:1", "http://[::1"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

}  // namespace
}  // namespace mgpu::client
