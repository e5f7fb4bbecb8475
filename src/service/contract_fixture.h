// The stage of the contract tests: a fake application on a real socket, and the service that speaks to it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "service/service.h"

#include "tests/fakes/fake_http_server.h"

namespace mgpu::service {

inline const std::string kSuccess = "fine";

class ContractFixture : public testing::Test {
 protected:
  using json = nlohmann::json;
  using FakeRequest = fakes::FakeRequest;
  using FakeResponse = fakes::FakeResponse;

  void create_service(config::ServiceConfig config) {
    config.url = fake.url();
    auto made = make_service(config, std::nullopt);
    ASSERT_TRUE(made) << made.error().detail;
    service = std::move(*made);
  }
  void create_service(config::ServiceType type) { create_service(config::ServiceConfig{.type = type}); }

  template <class T>
  T await_result(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    boost::asio::co_spawn(io, std::move(work),
                          [&](std::exception_ptr, T value) { result = std::move(value); });
    io.restart();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!result && std::chrono::steady_clock::now() < deadline) {
      io.run_one_for(std::chrono::milliseconds(50));
    }
    return result.value();
  }

  // What came of it, in one word: "fine", or the error's code.
  std::string outcome(const Result<void>& result) {
    last_error = result ? "" : result.error().detail;
    return result ? kSuccess : std::string(to_string(result.error().code));
  }
  std::string load(const std::string& ai_model = "") {
    return outcome(await_result(service->load(ai_model, kLimit)));
  }
  std::string unload(const std::string& ai_model = "") {
    return outcome(await_result(service->unload(ai_model, kLimit)));
  }
  std::string park(const std::string& ai_model = "") {
    return outcome(await_result(service->park(ai_model, kLimit)));
  }
  std::string resume(const std::string& ai_model = "") {
    return outcome(await_result(service->resume(ai_model, kLimit)));
  }
  std::uint32_t active_requests() { return await_result(service->count_active_requests()).value_or(999); }
  bool is_up() { return await_result(service->check_health()).state == Health::State::up; }

  // "a=10 b": all that are listed, those that are resident with a star: "a* b".
  std::string listed_names() {
    std::string text;
    const auto all = await_result(service->list_ai_models());
    if (!all) return std::string(to_string(all.error().code));
    for (const AiModel& one : *all) text += (text.empty() ? "" : " ") + one.name + (one.resident ? "*" : "");
    return text;
  }

  static constexpr Duration kLimit{5'000'000};
  boost::asio::io_context io;
  fakes::FakeHttpServer fake{io};
  std::unique_ptr<Service> service;
  std::string last_error;  // the last error's detail
};

}  // namespace mgpu::service
