// What the implementations share: an address, JSON answers, errors in the same words, waiting for a state.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "service/fetch.h"
#include "service/service.h"

namespace mgpu::service {

class Application : public Service {
 public:
  explicit Application(Address address) : address_(std::move(address)) {}

  boost::asio::awaitable<Result<void>> park(const std::string& ai_model, Duration limit) override;
  boost::asio::awaitable<Result<void>> resume(const std::string& ai_model, Duration limit) override;
  bool can_park() const override { return false; }

 protected:
  // GET `path` as a question: kAskLimit.
  boost::asio::awaitable<Result<Answer>> ask(std::string path);
  // The same, where the answer must be 200 and JSON.
  boost::asio::awaitable<Result<nlohmann::json>> ask_json(std::string path);
  boost::asio::awaitable<Result<Answer>> post(std::string path, std::string body, Duration limit);
  // Up with `status`, loading with 503, else down.
  boost::asio::awaitable<Health> health_at(std::string path, int status);
  // Lists until `done` holds of the AI model's entry (null: not listed); service_down past the limit.
  boost::asio::awaitable<Result<void>> wait_listed(std::string ai_model, Duration limit,
                                                   std::function<Result<bool>(const AiModel*)> done);

  const Address& address() const { return address_; }

 private:
  Address address_;
};

// The error of an answer that is not what was hoped for: out_of_memory, not_found, or `otherwise`.
Error refused(const std::string& what, const Answer& answer, Code otherwise);

// Lenient reading of foreign JSON: the default where the key is missing or of another type.
std::string text_at(const nlohmann::json& object, const char* key);

std::unique_ptr<Service> make_generic(Address address, const config::ServiceConfig& config);
std::unique_ptr<Service> make_ollama(Address address, const config::ServiceConfig& config);
std::unique_ptr<Service> make_llama_server(Address address, const config::ServiceConfig& config);

}  // namespace mgpu::service
