// The requests to a container engine, Docker or Podman: the same HTTP over their Unix socket. After Docker
// Engine API 1.41 and the observed responses of Podman 4.3.
//
// Thread rule: the executor's one thread. Errors of all calls: service_down (the engine can't be reached, or
// did not respond in time), load_failed (it refused), both with the request and the response.
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
#include "runner/visible_devices.h"

namespace mgpu::runner {

struct ContainerFacts {
  std::string id{};
  bool running = false;  // also while paused
  bool paused = false;
  bool tty = false;           // its output is sent without frames
  std::optional<int> pid{};   // of its first process, on the host; while it runs
  std::optional<int> exit{};  // its exit code, after its end
  std::map<std::string, std::string> labels{};
  std::vector<std::string> device_uuids{};  // that it was given; empty: all, none, or given by index
};

class ContainerApi {
 public:
  // Sockets of engines in the order in which they are tried: only the configured one, or DOCKER_HOST,
  // Docker's, a rootless Docker's, Podman's, a rootless Podman's.
  static std::vector<std::string> sockets(const config::ContainerConfig& config);

  // The engine of the first socket that responds.
  static boost::asio::awaitable<Result<std::unique_ptr<ContainerApi>>> connect(
      boost::asio::any_io_executor executor, const config::ContainerConfig& config);

  ContainerApi(boost::asio::any_io_executor executor, std::string socket);

  const std::string& socket() const { return socket_; }

  // `container`: name or id. Null: there is no such container.
  boost::asio::awaitable<Result<std::optional<ContainerFacts>>> inspect(std::string container);
  // The ids of all containers with the label, running or not.
  boost::asio::awaitable<Result<std::vector<std::string>>> list_by_label(std::string label);
  boost::asio::awaitable<Result<std::string>> create(std::string name, nlohmann::json body);  // its id
  boost::asio::awaitable<Result<void>> remove(std::string container);  // also while it runs

  boost::asio::awaitable<Result<void>> start(std::string container, Duration limit);
  // SIGTERM (or the image's own stop signal), then SIGKILL after `grace`; returns after the end.
  boost::asio::awaitable<Result<void>> stop(std::string container, Duration grace);
  boost::asio::awaitable<Result<void>> kill(std::string container);
  boost::asio::awaitable<Result<void>> pause(std::string container);
  boost::asio::awaitable<Result<void>> unpause(std::string container);

  // Requests that last as long as the container runs; the caller reads the responses. The response to wait()
  // arrives at the container's end (parse_exit_code), that to follow_output() is its output
  // (OutputFrameDecoder, unless tty).
  using StreamingRequest = boost::asio::awaitable<Result<std::shared_ptr<http::ClientRequest>>>;
  StreamingRequest wait(std::string container);
  StreamingRequest follow_output(std::string container, std::size_t last_lines);

 private:
  struct Reply;
  boost::asio::awaitable<Result<Reply>> send_request(std::string method, std::string target, std::string body,
                                                     Duration limit);
  // POST /containers/CONTAINER/VERB. 304 (the container is in that state already) is a success.
  boost::asio::awaitable<Result<void>> post_action(std::string container, std::string verb, Duration limit);
  StreamingRequest open_request(std::string method, std::string target);

  std::string socket_;
  http::Client client_;
};

// The exit code in the whole response to wait(); null if it has none.
std::optional<int> parse_exit_code(const std::string& answer);

// Decodes the output of a container without tty. A frame is one byte for the stream, three zero bytes, four
// bytes of length (big endian) and the text.
class OutputFrameDecoder {
 public:
  // The text in the next piece; a frame may be split anywhere.
  std::string decode(std::string_view piece);

 private:
  std::string header_{};
  std::size_t payload_left_ = 0;  // bytes of the current frame's text
};

// The body that creates a consumer's container; `port` replaces ${PORT}. Of `gpus: all` it gets the bound
// devices alone.
nlohmann::json creation_body(const std::string& consumer, const config::ContainerConfig& config,
                             std::optional<std::uint16_t> port, const DeviceBinding& devices = {});

inline constexpr const char* kConsumerLabel = "mgpu.consumer";
inline constexpr const char* kPortLabel = "mgpu.port";
inline constexpr const char* kStarterLabel =
    "mgpu.started_by";  // the start of the daemon that created it: "PID START_TIME BOOT"

}  // namespace mgpu::runner
