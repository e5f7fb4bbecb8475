// Service: how an application is asked to load, park, unload, and to tell its state. One implementation per
// kind of application; a new one is one file and one row in config/services.inc (docs/services.md).
//
// Thread rule: the executor's one thread. Every call is bounded, by `limit_setting` or by kAskLimit, and
// arguments of awaited calls must outlive the call. Errors: load_failed, out_of_memory (the application
// itself says so), service_down, not_supported, not_found (no such AI model); `detail` is for the person who
// reads it at night.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "http/endpoint.h"

namespace mgpu::service {

inline constexpr Duration kQueryLimit{5'000'000};  // of a question that does no work

struct Health {
  enum class State : std::uint8_t { up, loading, down };
  State state = State::down;
  std::string reason{};  // where not up
};

struct AiModel {
  std::string name{};            // empty: the only one, whatever it is called
  bool resident = false;         // in device memory now
  std::optional<Bytes> bytes{};  // device memory, where the application says
};

class Service {
 public:
  virtual ~Service() = default;

  virtual boost::asio::awaitable<Health> check_health() = 0;

  // Returns when the AI model (empty: the only one) is in device memory. REQUIRES: healthy.
  virtual boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) = 0;

  // Returns when the application says that it is out of device memory; readings prove it.
  virtual boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) = 0;

  virtual boost::asio::awaitable<Result<void>> park(const std::string& ai_model, Duration limit) = 0;
  virtual boost::asio::awaitable<Result<void>> resume(const std::string& ai_model, Duration limit) = 0;

  // How many requests it is working on or has waiting. 0 where it can't say.
  virtual boost::asio::awaitable<Result<std::uint32_t>> count_active_requests() = 0;

  // The AI models that it knows, without loading any. Empty where it can't say: then it has one, which is in
  // device memory while it is up.
  virtual boost::asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() = 0;

  virtual bool can_unload() const = 0;
  virtual bool can_park() const = 0;
};

// Where the service listens; `port` replaces ${PORT} in the url. Error: invalid_config.
Result<http::Endpoint> endpoint_of(const config::ServiceConfig& config, std::optional<std::uint16_t> port);

// `port` replaces ${PORT} in the url. None for ServiceType::none. Error: invalid_config (the url, or where
// its key is kept).
Result<std::unique_ptr<Service>> make_service(const config::ServiceConfig& config,
                                              std::optional<std::uint16_t> port);

// One name for one AI model in this kind of service: ollama's "M" is "M:latest"; others as they are.
std::string canonical_name(config::ServiceType type, std::string_view ai_model);

// Asks every 20 ms, growing to 500 ms, until up. `still_alive` says whether waiting makes sense (its process
// lives); it may be empty. Errors: load_failed (limit passed, or no longer alive).
boost::asio::awaitable<Result<void>> wait_healthy(Service& service, Duration limit,
                                                  std::function<bool()> still_alive);

}  // namespace mgpu::service
