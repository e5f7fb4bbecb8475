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

#include "tests/fakes/http_fake.h"

namespace mgpu::service {

inline const std::string kFine = "fine";

class Contract : public testing::Test {
 protected:
  using json = nlohmann::json;
  using Asked = fakes::Asked;
  using Told = fakes::Told;

  void speak(config::ServiceConfig config) {
    config.url = fake.url();
    auto made = make_service(config, std::nullopt);
    ASSERT_TRUE(made) << made.error().detail;
    service = std::move(*made);
  }
  void speak(config::ServiceType type) { speak(config::ServiceConfig{.type = type}); }

  template <class T>
  T done(boost::asio::awaitable<T> work) {
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
  std::string said(const Result<void>& result) {
    last = result ? "" : result.error().detail;
    return result ? kFine : std::string(to_string(result.error().code));
  }
  std::string load(const std::string& ai_model = "") { return said(done(service->load(ai_model, kLimit))); }
  std::string unload(const std::string& ai_model = "") {
    return said(done(service->unload(ai_model, kLimit)));
  }
  std::string park(const std::string& ai_model = "") { return said(done(service->park(ai_model, kLimit))); }
  std::string resume(const std::string& ai_model = "") {
    return said(done(service->resume(ai_model, kLimit)));
  }
  std::uint32_t at_work() { return done(service->at_work()).value_or(999); }
  bool up() { return done(service->healthy()).state == Health::State::up; }

  // "a=10 b": all that are listed, those that are resident with a star: "a* b".
  std::string listed() {
    std::string text;
    const auto all = done(service->list());
    if (!all) return std::string(to_string(all.error().code));
    for (const AiModel& one : *all) text += (text.empty() ? "" : " ") + one.name + (one.resident ? "*" : "");
    return text;
  }

  static constexpr Duration kLimit{5'000'000};
  boost::asio::io_context io;
  fakes::HttpFake fake{io};
  std::unique_ptr<Service> service;
  std::string last;  // the last error's detail
};

}  // namespace mgpu::service
