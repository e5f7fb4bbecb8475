// What the implementations share: the address, the queries of its state, JSON requests, errors in the same
// words, polling. The defaults fit an application that loads at start and frees its memory only by ending;
// an implementation overrides what its application can do better (docs/services.md).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/services.h"
#include "service/fetch.h"
#include "service/service.h"

namespace mgpu::service {

// torch's pool may still hold this much after everything was unloaded; more means that something is loaded.
inline constexpr Bytes kIdleTorchPool = kMiB * 256;

// A GET whose JSON answer `parse` reads. An empty path: the application has no such route.
template <class T>
struct JsonQuery {
  std::string path{};
  T (*parse)(const nlohmann::json&) = nullptr;
};

// How an application is asked for its state, where one request is enough.
struct StateQueries {
  JsonQuery<std::uint32_t> active_requests{};
  std::vector<std::string> active_request_metrics{};  // instead: their samples in GET /metrics are added up
  JsonQuery<std::vector<AiModel>> ai_models{};
};

class ServiceBase : public Service {
 public:
  ServiceBase(Address address, const config::ServiceConfig& config, StateQueries queries = {});

  boost::asio::awaitable<Health> check_health() override;
  boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> park(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> resume(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<std::uint32_t>> count_active_requests() override;
  boost::asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override;
  bool loads_lazily() const override { return false; }
  bool can_unload() const override { return false; }
  bool can_park() const override { return false; }

 protected:
  using AsyncResult = boost::asio::awaitable<Result<void>>;

  // GET `path` within kQueryLimit. Any status is an answer.
  boost::asio::awaitable<Result<Response>> get(std::string path);
  // The same; another status than 200 and an answer that is not JSON are errors.
  boost::asio::awaitable<Result<nlohmann::json>> get_json(std::string path);
  // The same, read by `parse`.
  template <class T>
  boost::asio::awaitable<Result<T>> get_parsed(std::string path, T (*parse)(const nlohmann::json&)) {
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    co_return parse(*answer);
  }
  boost::asio::awaitable<Result<Response>> send(Request request, Duration limit);
  boost::asio::awaitable<Result<Response>> post(std::string path, nlohmann::json body, Duration limit);
  // The same; any status but 2xx is an error. `action` begins the error's text ("loading small").
  AsyncResult require_success(std::string action, Request request, ErrorCode fallback_code, Duration limit);
  // The same for a POST with a JSON body.
  AsyncResult require_success(std::string action, std::string path, nlohmann::json body,
                              ErrorCode fallback_code, Duration limit);

  // Up with `status`, loading with 503, else down.
  boost::asio::awaitable<Health> probe_health(std::string path, int status);
  // Repeats `condition` until it holds. Error: service_down (not within `limit`), with `timeout_detail`.
  AsyncResult poll_until(std::function<boost::asio::awaitable<Result<bool>>()> condition,
                         std::string timeout_detail, Duration limit);
  // Lists until `condition` holds of the AI model's entry (null: not listed). Error: as poll_until.
  AsyncResult poll_entry_until(std::string ai_model, Duration limit,
                               std::function<Result<bool>(const AiModel*)> condition);

  // The error of an unwanted answer: out_of_memory, not_found, unauthorized, or `fallback_code`.
  Error response_error(const std::string& action, const Response& response, ErrorCode fallback_code) const;

  const Address& address() const { return address_; }
  const config::ServiceConfig& config() const { return config_; }

 private:
  Address address_;
  config::ServiceConfig config_;
  StateQueries queries_;
};

// Marks the entries with these names as resident; names that are not listed yet are added.
void mark_resident(std::vector<AiModel>& all, const std::vector<std::string>& names);

// Lenient reading of an application's JSON: the default where the key is missing or has another type. A
// number beyond the largest number of Bytes is 0.
std::string string_or_empty(const nlohmann::json& object, const char* key);
std::int64_t number_or_zero(const nlohmann::json& object, const char* key);
const nlohmann::json& member_or_null(const nlohmann::json& object,
                                     const char* key);  // null where there is none

// Percent-encodes a name: slashes stay in a path, but not in a query.
std::string encode_path(std::string_view name);
std::string encode_query(std::string_view name);

// The sum of the metric's samples whose labels contain `label`, in Prometheus' text format; 0 without
// samples.
double sum_metric(std::string_view text, std::string_view name, std::string_view label = "");

// A count that an application reports; what is no count (negative, beyond 32 bits, NaN) is 0.
std::uint32_t count_from_number(double number);

#define MGPU_SERVICE(id, ...) std::unique_ptr<Service> make_##id(Address, const config::ServiceConfig&);
#include "config/services.inc"

}  // namespace mgpu::service
