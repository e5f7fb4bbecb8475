// Service: how an application is told to load, park and unload, and asked for its state. One implementation
// per kind of application; a new one is one file and one row in config/services.inc (docs/services.md).
//
// Thread rule: the executor's one thread. Every call ends within `limit` or, without that parameter, within
// kQueryLimit. Arguments of awaited calls must outlive the call. Errors: load_failed, out_of_memory (the
// application itself says so), service_down, busy (it has active requests), not_supported, not_found (no such
// AI model), unauthorized; `detail` says what was asked, what was answered and what to do.
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
#include "domain/resident.h"
#include "http/endpoint.h"

namespace mgpu::service {

inline constexpr Duration kQueryLimit{5'000'000};  // of a request that starts no work

struct Health {
  enum class State : std::uint8_t { up, loading, down };
  State state = State::down;
  std::string reason{};  // unless up
};

struct AiModel {
  std::string name{};                 // empty: the service's only one, its name is unknown
  bool resident = false;              // in device memory now
  bool loading = false;               // instead: a load of it is in progress
  bool parked = false;                // instead: it is in host memory of its process
  std::optional<Bytes> bytes{};       // of device memory, where the application reports it
  std::optional<Bytes> file_bytes{};  // of its files, where the application reports it
};

class Service {
 public:
  virtual ~Service() = default;

  virtual boost::asio::awaitable<Health> check_health() = 0;

  // Returns when the AI model (empty: the only one) is in device memory. REQUIRES: healthy.
  virtual boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) = 0;

  // Returns when the application reports that it is unloaded; only readings prove that the memory is free.
  virtual boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) = 0;

  virtual boost::asio::awaitable<Result<void>> park(const std::string& ai_model, Duration limit) = 0;
  virtual boost::asio::awaitable<Result<void>> resume(const std::string& ai_model, Duration limit) = 0;

  // The requests that the application computes or has queued. 0 where it does not report them.
  virtual boost::asio::awaitable<Result<std::uint32_t>> count_active_requests() = 0;

  // The AI models that the application can load or has loaded; loads none. Empty where it does not report
  // them: then it has one, which is in device memory while the service is up.
  virtual boost::asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() = 0;

  // Whether load() may return before anything is in device memory, because the first request loads.
  virtual bool loads_lazily() const = 0;

  virtual bool can_unload() const = 0;
  virtual bool can_park() const = 0;
};

// `endpoint`: where the application listens. Null for ServiceType::none. Error: invalid_config (its key can't
// be read).
Result<std::unique_ptr<Service>> make_service(const config::ServiceConfig& config, http::Endpoint endpoint);

// The one name of an AI model in this kind of service: ollama's "M" is "M:latest"; other names stay.
std::string canonical_name(config::ServiceType type, std::string_view ai_model);

// Equal for all spellings that this kind of service takes for the same AI model: for comparisons, not for
// display.
std::string name_key(config::ServiceType type, std::string_view ai_model);

Presence presence_of(const AiModel& ai_model);

// What the list says of the AI model; of a service that has only one, any entry speaks for it.
Presence presence_in(const std::vector<AiModel>& listed, const config::ServiceConfig& config,
                     std::string_view ai_model);

// The same as Service::unload, but succeeds as well if the service lists the AI model as not loaded
// afterwards: "not loaded", "unknown" and "not found" mean that it is gone. `config`: of the service; it and
// the others must outlive the call.
boost::asio::awaitable<Result<void>> unload_if_loaded(Service& service, const config::ServiceConfig& config,
                                                      const std::string& ai_model, Duration limit);

// Checks the health every 20 ms, growing to 500 ms, until up. `still_alive` tells whether the process still
// runs; it may be empty. Errors: load_failed (limit passed, or no longer alive).
boost::asio::awaitable<Result<void>> wait_healthy(Service& service, Duration limit,
                                                  std::function<bool()> still_alive);

}  // namespace mgpu::service
