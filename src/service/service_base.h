// What the implementations share: an address, JSON answers, errors in the same words, waiting for a state.
// The defaults are those of an application that loads at start and gives its memory back only by ending; a
// new one overrides what it can do better (docs/services.md).
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "config/services.h"
#include "service/fetch.h"
#include "service/service.h"

namespace mgpu::service {

// What torch's pool may still have after everything was unloaded; more means that something is loaded.
inline constexpr Bytes kIdleTorchPool = kMiB * 256;

class ServiceBase : public Service {
 public:
  ServiceBase(Address address, const config::ServiceConfig& config);

  boost::asio::awaitable<Health> check_health() override;
  boost::asio::awaitable<Result<void>> load(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> unload(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> park(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> resume(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<std::uint32_t>> count_active_requests() override;
  boost::asio::awaitable<Result<std::vector<AiModel>>> list_ai_models() override;
  bool can_unload() const override { return false; }
  bool can_park() const override { return false; }

 protected:
  using AsyncResult = boost::asio::awaitable<Result<void>>;

  // GET `path` as a question: kAskLimit.
  boost::asio::awaitable<Result<Response>> get(std::string path);
  // The same, where the answer must be 200 and JSON.
  boost::asio::awaitable<Result<nlohmann::json>> get_json(std::string path);
  // The same, and what that JSON means.
  template <class T>
  boost::asio::awaitable<Result<T>> get_parsed(std::string path, T (*parse)(const nlohmann::json&)) {
    const auto answer = co_await get_json(path);
    if (!answer) co_return std::unexpected(answer.error());
    co_return parse(*answer);
  }
  boost::asio::awaitable<Result<Response>> send(Request request, Duration limit);
  boost::asio::awaitable<Result<Response>> post(std::string path, nlohmann::json body, Duration limit);
  // The same, where any 2xx will do. `what` is said in errors ("loading small"); its code is `otherwise`.
  AsyncResult require_success(std::string action, Request request, ErrorCode fallback_code, Duration limit);
  // The same, with a JSON body by POST.
  AsyncResult require_success(std::string action, std::string path, nlohmann::json body,
                              ErrorCode fallback_code, Duration limit);

  // Up with `status`, loading with 503, else down.
  boost::asio::awaitable<Health> probe_health(std::string path, int status);
  // Asks until it is so; service_down past the limit, saying in vain for what.
  AsyncResult poll_until(std::function<boost::asio::awaitable<Result<bool>>()> condition,
                         std::string timeout_detail, Duration limit);
  // Lists until `done` holds of the AI model's entry (null: not listed); service_down past the limit.
  AsyncResult poll_entry_until(std::string ai_model, Duration limit,
                               std::function<Result<bool>(const AiModel*)> condition);

  // The error of an answer that is not what was hoped for: out_of_memory, not_found, or `otherwise`.
  Error response_error(const std::string& action, const Response& response, ErrorCode fallback_code) const;

  const Address& address() const { return address_; }
  const config::ServiceConfig& config() const { return config_; }

 private:
  Address address_;
  config::ServiceConfig config_;
};

// Those with these names are in device memory; names that are not listed yet are added.
void mark_resident(std::vector<AiModel>& all, const std::vector<std::string>& names);

// Lenient reading of foreign JSON: the default where the key is missing or of another type. A number that is
// larger than any amount may be (kLargestBytes), or no number at all, is 0.
std::string string_or_empty(const nlohmann::json& object, const char* key);
std::int64_t number_or_zero(const nlohmann::json& object, const char* key);
const nlohmann::json& member_or_null(const nlohmann::json& object,
                                     const char* key);  // null where there is none

// A name as it stands in a path ("a b" is "a%20b"; slashes stay), or in a query (they don't).
std::string encode_path(std::string_view name);
std::string encode_query(std::string_view name);

// The sum of all samples of one metric in Prometheus' text format whose labels contain `label`; 0: none.
double sum_metric(std::string_view text, std::string_view name, std::string_view label = "");

// A count that a service tells of itself; what can't be one (negative, beyond 32 bits, NaN) is 0.
std::uint32_t count_from_number(double number);

#define MGPU_SERVICE(id, ...) std::unique_ptr<Service> make_##id(Address, const config::ServiceConfig&);
#include "config/services.inc"

}  // namespace mgpu::service
