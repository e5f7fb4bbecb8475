// The scripted exchanges: what an honest client and an honest service say to each other, as values. A lane
// plays them and breaks them.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http_reader.h"

namespace mgpu::faults {

// What one side of an exchange can know while it waits.
struct WaitContext {
  const MessageReader& reader;    // what came on this side's connection
  std::size_t message_index = 0;  // of `heard`, the request that the service answers
  bool other_done = false;        // the other side has nothing left to send
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
// For the client.
Step wait_for_answers(std::size_t count);  // complete ones
Step wait_for_heads(std::size_t count);    // final answers that have begun
Step wait_for_interims(int count);
// For the service; of the request that it answers.
Step wait_for_request();
Step wait_for_body(std::size_t bytes);
// For both.
Step wait_for_raw(std::size_t bytes);

// One request of the client, and what must come of it if nothing breaks.
struct ExpectedRequest {
  std::string method = "GET";
  std::string request_body{};  // its body
  int status = 200;
  std::string answer_body{};  // of the answer, as the client must see it
  std::vector<Steps>
      attempts{};  // of the service; the last one for all further ones. Empty: it never gets there
  bool upgrade = false;
  std::string raw_down{}, raw_up{};
  bool until_close = false;   // the service's answer ends with its connection
  bool drops_upgrade = true;  // the service must not see the header
};

struct ExchangeScript {
  Steps client{};
  std::vector<ExpectedRequest> requests{};
  bool http_1_0 = false;
  bool last_closes = false;      // the client asked for the end of the connection
  bool body_may_be_cut = false;  // the service answers early: it need not see the whole request
  bool may_repeat = false;       // the daemon may send a request again
  bool slow_reader = false;
  bool endless = false;     // the answer never ends: the client leaves
  bool any_status = false;  // whether it works out depends on the order
};

struct CaseNames {
  std::string lane;  // the consumer: "lane03"
  std::string id;    // of this case: "0000beef"
};

struct NamedScript {
  std::string_view name;
  ExchangeScript (*make)(const CaseNames&);
};
const std::vector<NamedScript>& all_scripts();

}  // namespace mgpu::faults
