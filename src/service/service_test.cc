// Three kinds of service against the fake application of tests/fakes, on real sockets.
#include "service/service.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "runner/process.h"

#include "tests/event_loop_fixture.h"

namespace mgpu::service {
namespace {

constexpr Duration kLimit{10'000'000};

class ServiceTest : public EventLoopTest {
 protected:
  // Starts the fake application with these arguments and makes the service that sends it requests.
  void start_fake(config::ServiceConfig config, std::vector<std::string> arguments) {
    std::vector<std::string> command{MGPU_FAKE_SERVICE, "--port", "0"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto started = runner::Process::start(io_.get_executor(), {.command = command}, {});
    ASSERT_TRUE(started) << started.error().detail;
    process_ = *std::move(started);
    service_ = *make_service(config, process_->endpoint().value());
  }
  Result<void> wait_ready(Duration limit = kLimit) {
    return await_result(wait_healthy(*service_, limit, [this] { return process_->is_running(); }));
  }

  std::unique_ptr<runner::Process> process_;
  std::unique_ptr<Service> service_;
};

TEST_F(ServiceTest, GenericSendsWhatIsConfigured) {
  start_fake({.type = config::ServiceType::generic,
              .load = config::RequestConfig{.path = "/load"},
              .unload = config::RequestConfig{.path = "/unload"},
              .busy = config::BusyConfig{"/busy", "/running", "0"}},
             {"--lazy"});
  ASSERT_TRUE(wait_ready());
  const std::string none;
  EXPECT_TRUE(await_result(service_->load(none, kLimit)));
  EXPECT_EQ(await_result(service_->count_active_requests()), Result<std::uint32_t>(0U));
  EXPECT_TRUE(await_result(service_->unload(none, kLimit)));
  EXPECT_FALSE(service_->can_park());
  EXPECT_EQ(await_result(service_->park(none, kLimit)).error().code, ErrorCode::not_supported);
}

TEST_F(ServiceTest, GenericNamesAnOutOfMemory) {
  start_fake({.type = config::ServiceType::generic, .load = config::RequestConfig{.path = "/load"}},
             {"--lazy", "--fault", "oom"});
  ASSERT_TRUE(wait_ready());
  const std::string none;
  EXPECT_EQ(await_result(service_->load(none, kLimit)).error().code, ErrorCode::out_of_memory);
}

TEST_F(ServiceTest, LlamaServerIsLoadingAndThenUp) {
  start_fake({.type = config::ServiceType::llama_server}, {"--load-ms", "200"});
  EXPECT_TRUE(wait_ready());
  EXPECT_FALSE(service_->can_unload());
}

TEST_F(ServiceTest, ACrashEndsTheWaitForHealth) {
  start_fake({.type = config::ServiceType::llama_server}, {"--fault", "crash-at-load"});
  EXPECT_EQ(wait_ready().error().code, ErrorCode::load_failed);
}

TEST_F(ServiceTest, NeverHealthyIsALoadFailureThatSaysWhy) {
  start_fake({.type = config::ServiceType::llama_server}, {"--fault", "never-healthy"});
  const auto result = wait_ready(Duration{300'000});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().detail.find("not healthy within"), std::string::npos);
}

TEST_F(ServiceTest, OllamaLoadsListsAndUnloads) {
  start_fake({.type = config::ServiceType::ollama}, {"--ollama", "small=1000", "big:7b=5000"});
  ASSERT_TRUE(wait_ready());
  const std::string small = "small";
  ASSERT_TRUE(await_result(service_->load(small, kLimit)));
  const auto all = await_result(service_->list_ai_models());
  ASSERT_EQ(all->size(), 2u);
  const auto& first = all->front().name == "small:latest" ? all->front() : all->back();
  EXPECT_TRUE(first.resident);
  EXPECT_EQ(first.bytes, Bytes{1000});
  ASSERT_TRUE(await_result(service_->unload(small, kLimit)));
  for (const auto& entry : *await_result(service_->list_ai_models())) EXPECT_FALSE(entry.resident);
  const std::string unknown = "nobody";
  EXPECT_EQ(await_result(service_->load(unknown, kLimit)).error().code, ErrorCode::not_found);
}

TEST_F(ServiceTest, RouterLoadsAndUnloadsOneOfSeveral) {
  start_fake({.type = config::ServiceType::llama_server, .router = true}, {"--llama-router", "a=10", "b=20"});
  ASSERT_TRUE(wait_ready());
  const std::string b = "b";
  ASSERT_TRUE(await_result(service_->load(b, kLimit)));
  EXPECT_TRUE(await_result(service_->list_ai_models())->back().resident);
  ASSERT_TRUE(await_result(service_->unload(b, kLimit)));
  EXPECT_FALSE(await_result(service_->list_ai_models())->back().resident);
}

TEST_F(ServiceTest, RubbishIsServiceDown) {
  start_fake({.type = config::ServiceType::ollama}, {"--ollama", "--fault", "rubbish"});
  EXPECT_TRUE(wait_ready());
  EXPECT_EQ(await_result(service_->list_ai_models()).error().code, ErrorCode::service_down);
}

TEST(Names, OfOllamaHaveATag) {
  EXPECT_EQ(canonical_name(config::ServiceType::ollama, "hub:80/x/m"), "hub:80/x/m:latest");
  EXPECT_EQ(canonical_name(config::ServiceType::ollama, "m:7b"), "m:7b");
}

}  // namespace
}  // namespace mgpu::service
