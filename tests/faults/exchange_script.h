// Scripted exchanges between a correct client and a correct service, as values. A lane runs them and injects
// faults.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http_reader.h"

namespace mgpu::faults {

// What the condition of a waiting step can read.
struct WaitContext {
  const MessageReader& reader;    // received on this side's connection
  std::size_t message_index = 0;  // in reader.messages: the request that the service answers
  bool other_done = false;        // the other side has sent everything
};

struct Step {
  enum class Kind { send, wait, pause, shut_sending, close };
  Kind kind = Kind::send;
  std::string bytes{};
  std::function<bool(const WaitContext&)> condition{};
  int pause_ms = 0;
};
using Steps = std::vector<Step>;

Step send(std::string bytes);
Step pause_ms(int ms);
Step shut_sending();
Step close_connection();
// Steps of the client.
Step wait_for_answers(std::size_t count);  // complete ones
Step wait_for_heads(std::size_t count);    // final answers whose head was received
Step wait_for_interims(int count);
// Steps of the service, about the request that it answers.
Step wait_for_request();
Step wait_for_body(std::size_t bytes);
// Steps of both.
Step wait_for_raw(std::size_t bytes);

// One request of the client, and the expected result without faults.
struct ExpectedRequest {
  std::string method = "GET";
  std::string request_body{};
  int status = 200;
  std::string answer_body{};      // as received by the client
  std::vector<Steps> attempts{};  // scripts of the service by attempt; the last one repeats. Empty: the
                                  // request does not reach it
  bool upgrade = false;
  std::string raw_down{}, raw_up{};
  bool until_close = false;   // the service's answer ends with its connection
  bool drops_upgrade = true;  // the service must not receive the header
};

struct ExchangeScript {
  Steps client{};
  std::vector<ExpectedRequest> requests{};
  bool http_1_0 = false;
  bool last_closes = false;      // the last request has Connection: close
  bool body_may_be_cut = false;  // the service answers early: it may receive only a part of the body
  bool may_repeat = false;       // the daemon may send a request again
  bool slow_reader = false;
  bool endless = false;     // the answer never ends: the client closes
  bool any_status = false;  // the result depends on the order
};

struct CaseNames {
  std::string lane;  // name of the consumer: "lane0396"
  std::string id;    // of this case: "0000beef"
};

struct NamedScript {
  std::string_view name;
  ExchangeScript (*make)(const CaseNames&);
};
const std::vector<NamedScript>& all_scripts();

}  // namespace mgpu::faults
