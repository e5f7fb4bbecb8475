// What we ask of a container engine, Docker or Podman: the same HTTP over their Unix socket.
// Facts: Docker Engine API 1.41, and what Podman 4.3 was seen to answer.
//
// Thread rule: the executor's one thread. Errors of all calls: service_down (the engine can't be reached, or
// did not answer in time), load_failed (it refused), both with what was asked and what was answered.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "http/client.h"

namespace mgpu::runner {

struct ContainerFacts {
  std::string id{};
  bool running = false;  // also while paused
  bool paused = false;
  bool tty = false;           // its output comes as it is, without frames
  std::optional<int> pid{};   // of its first process, as the host sees it; while it runs
  std::optional<int> exit{};  // the code it ended with
  std::map<std::string, std::string> labels{};
};

class ContainerApi {
 public:
  // Where engines listen, in the order in which they are tried: the configured socket alone, or DOCKER_HOST,
  // Docker's, a rootless Docker's, Podman's, a rootless Podman's.
  static std::vector<std::string> sockets(const config::ContainerConfig& config);

  // The first of them where an engine answers.
  static boost::asio::awaitable<Result<std::unique_ptr<ContainerApi>>> connect(
      boost::asio::any_io_executor executor, const config::ContainerConfig& config);

  ContainerApi(boost::asio::any_io_executor executor, std::string socket);

  const std::string& socket() const { return socket_; }

  // By name or id. Nothing: there is no such container.
  boost::asio::awaitable<Result<std::optional<ContainerFacts>>> inspect(std::string container);
  // Ids of all that have the label, running or not.
  boost::asio::awaitable<Result<std::vector<std::string>>> list_by_label(std::string label);
  boost::asio::awaitable<Result<std::string>> create(std::string name, nlohmann::json body);  // its id
  boost::asio::awaitable<Result<void>> remove(std::string container);                         // even running

  boost::asio::awaitable<Result<void>> start(std::string container, Duration limit);
  // SIGTERM (or the image's own stop signal), SIGKILL after `grace`; returns once it has ended.
  boost::asio::awaitable<Result<void>> stop(std::string container, Duration grace);
  boost::asio::awaitable<Result<void>> kill(std::string container);
  boost::asio::awaitable<Result<void>> pause(std::string container);
  boost::asio::awaitable<Result<void>> unpause(std::string container);

  // Requests that last as long as the container runs, sent, for the caller to read: the answer of the first
  // comes at its end (parse_exit_code), that of the second is its output (OutputFrameDecoder, unless it has a
  // tty).
  using StreamingRequest = boost::asio::awaitable<Result<std::shared_ptr<http::ClientRequest>>>;
  StreamingRequest wait(std::string container);
  StreamingRequest follow_output(std::string container, std::size_t last_lines);

 private:
  struct Reply;
  boost::asio::awaitable<Result<Reply>> send_request(std::string method, std::string target, std::string body,
                                                     Duration limit);
  // POST /containers/CONTAINER/VERB; also good are the statuses that say that it is so already.
  boost::asio::awaitable<Result<void>> post_action(std::string container, std::string verb, Duration limit);
  StreamingRequest open_request(std::string method, std::string target);

  std::string socket_;
  http::Client client_;
};

// The answer to wait(), whole: the exit code, if it is one.
std::optional<int> parse_exit_code(const std::string& answer);

// Output of a container without tty comes in frames: a byte for the stream, three of nothing, four of length
// (big endian), the text.
class OutputFrameDecoder {
 public:
  // Text in `chunk`, frames split anywhere.
  std::string decode(std::string_view piece);

 private:
  std::string header_{};
  std::size_t payload_left_ = 0;  // of the present frame's text
};

// The body that creates a consumer's container; `port` replaces ${PORT}.
nlohmann::json creation_body(const std::string& consumer, const config::ContainerConfig& config,
                             std::optional<std::uint16_t> port);

inline constexpr const char* kConsumerLabel = "mgpu.consumer";
inline constexpr const char* kPortLabel = "mgpu.port";
inline constexpr const char* kStarterLabel =
    "mgpu.started_by";  // which life of a daemon: "PID START_TIME BOOT"

}  // namespace mgpu::runner
