// For the contract tests: a fake application on a real socket, and the service that sends its requests there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "service/service.h"

#include "tests/event_loop_fixture.h"
#include "tests/fakes/fake_http_server.h"

namespace mgpu::service {

inline const std::string kSuccess = "fine";

class ContractFixture : public EventLoopTest {
 protected:
  using json = nlohmann::json;
  using FakeRequest = fakes::FakeRequest;
  using FakeResponse = fakes::FakeResponse;

  void create_service(config::ServiceConfig config) {
    auto made = make_service(config, http::parse_url(fake.url()).value());
    ASSERT_TRUE(made) << made.error().detail;
    service = std::move(*made);
  }
  void create_service(config::ServiceType type) { create_service(config::ServiceConfig{.type = type}); }

  // "fine", or the error's code.
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

  // The listed names, those of resident AI models with a star: "a* b".
  std::string listed_names() {
    std::string text;
    const auto all = await_result(service->list_ai_models());
    if (!all) return std::string(to_string(all.error().code));
    for (const AiModel& one : *all) text += (text.empty() ? "" : " ") + one.name + (one.resident ? "*" : "");
    return text;
  }

  static constexpr Duration kLimit{5'000'000};
  fakes::FakeHttpServer fake{io_};
  std::unique_ptr<Service> service;
  std::string last_error;  // the last error's detail
};

}  // namespace mgpu::service
