// Uses a fake of the engine's API on a real Unix socket; tests/e2e/test_runner_container_real.py uses a real
// engine. Tests common to systemd units are in external_run_test.cc.
#include "runner/container.h"

#include <chrono>
#include <cstdlib>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "gpu/process_table.h"
#include "runner/container_api.h"
#include "runner/container_fixture.h"
#include "runner/process_recovery.h"

namespace mgpu::runner {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::seconds;
using Words = std::vector<std::string>;

TEST_F(ContainerTest, AnErrorNamesWhatIsMissing) {
  const auto container = start({.name = "vllm"});
  ASSERT_FALSE(container);
  EXPECT_EQ(container.error().code, ErrorCode::load_failed);
  EXPECT_EQ(container.error().detail, socket_ + " has no container \"vllm\"");
  const auto image = start({.image = "missing:1"});
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().detail.find("answered with 404: No such image: missing:1"), std::string::npos);
  engine_.containers["vllm"];
  engine_.start_error = "could not select device driver";
  const auto driver = start({.name = "vllm"});
  ASSERT_FALSE(driver);
  EXPECT_NE(driver.error().detail.find("could not select device driver"), std::string::npos);
  EXPECT_FALSE(engine_.containers["vllm"].running);
}

TEST_F(ContainerTest, OneThatIsStoppedOrPausedIsNotFound) {
  engine_.containers["vllm"];
  auto run = find({.name = "vllm"});
  ASSERT_TRUE(run);
  EXPECT_EQ(*run, nullptr);
  engine_.containers["vllm"].running = engine_.containers["vllm"].paused = true;
  run = find({.name = "vllm"});
  ASSERT_TRUE(run);
  EXPECT_EQ(*run, nullptr);
  run = start({.name = "vllm"});
  ASSERT_TRUE(run);
  EXPECT_FALSE(engine_.containers["vllm"].paused) << "a start resumes it";
}

TEST_F(ContainerTest, IsCreatedFromAnImageAndFoundByItsLabel) {
  const config::ContainerConfig config{.image = "srv:1", .ports = {"127.0.0.1:${PORT}:8000"}};
  auto run = start(config);
  ASSERT_TRUE(run) << run.error().detail;
  const auto endpoint = (*run)->endpoint();
  ASSERT_TRUE(endpoint);
  const json& made = engine_.containers.at("mgpu-chat").create_body;
  EXPECT_EQ(made["HostConfig"]["PortBindings"]["8000/tcp"][0]["HostPort"], std::to_string(endpoint->port));
  run->reset();  // simulates a kill of the daemon
  auto again = find(config);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->endpoint(), endpoint);
  EXPECT_TRUE((*again)->is_owned());
}

TEST_F(ContainerTest, ReportsTheDevicesThatItWasGiven) {
  const std::string uuid = "GPU-51304c70-0000-4000-8000-000000000001";
  const auto one = start({.image = "srv:1", .gpus = {uuid}});
  ASSERT_TRUE(one) << one.error().detail;
  EXPECT_EQ((*one)->device_uuids(), Words{uuid});
  engine_.end_container("mgpu-chat", 0);
  const auto all = start({.image = "srv:1", .gpus = {"all"}});
  ASSERT_TRUE(all) << all.error().detail;
  EXPECT_EQ((*all)->device_uuids(), Words{});
}

TEST_F(ContainerTest, OneOfAnotherRunningDaemonIsNotTouched) {
  const config::ContainerConfig config{.image = "srv:1"};
  ASSERT_TRUE(start(config));
  auto& label = engine_.containers.at("mgpu-chat").create_body["Labels"]["mgpu.started_by"];
  EXPECT_EQ(label, to_string(current_daemon_instance()) + " " + boot_id());
  const DaemonInstance other{.pid = getppid(), .start_time = gpu::read_process(getppid())->start_time};
  label = to_string(other) + " " + boot_id();

  const auto refused = start(config);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("belongs to another mgpu"), std::string::npos);
  const auto found = find(config);
  EXPECT_TRUE(found && !*found) << "nor is it ended with this daemon";

  label = to_string(other) + " an earlier boot";
  const auto heir = find(config);
  EXPECT_TRUE(heir && *heir && (*heir)->is_owned());
}

TEST_F(ContainerTest, TheNextStartRecreatesIt) {
  ASSERT_TRUE(await_result((*start({.image = "srv:1"}))->stop(seconds(5))));
  const auto run = start({.image = "srv:2"});
  ASSERT_TRUE(run) << run.error().detail;
  EXPECT_EQ(engine_.containers.at("mgpu-chat").create_body["Image"], "srv:2");
}

TEST_F(ContainerTest, ReportsACrashAtOnceWithItsLog) {
  auto run = start({.image = "srv:1"});
  ASSERT_TRUE(run);
  engine_.print_output("mgpu-chat", "loading\nCUDA out of memory\n");
  engine_.end_container("mgpu-chat", 3);
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(to_string(*exit_status_), "exited with code 3");
  EXPECT_EQ(exit_status_->log, (Words{"loading", "CUDA out of memory"}));
  EXPECT_TRUE(await_result((*run)->kill())) << "nothing is left to kill";
}

TEST_F(ContainerTest, ItsOutputIsStreamed) {
  auto run = start({.image = "srv:1"});
  ASSERT_TRUE(run);
  engine_.print_output("mgpu-chat", "ready\n");
  EXPECT_TRUE(run_until([&] { return (*run)->log_tail(5) == Words{"ready"}; }));
  engine_.print_output("mgpu-chat", "busy\n");
  EXPECT_TRUE(run_until([&] { return (*run)->log_tail(5) == Words{"ready", "busy"}; }));
}

TEST_F(ContainerTest, KillsWhatIgnoresStop) {
  auto run = start({.image = "srv:1"});
  ASSERT_TRUE(run);
  engine_.containers["mgpu-chat"].ignores_stop = true;
  std::optional<Result<void>> stopped;
  asio::co_spawn(io_, (*run)->stop(seconds(30)), [&](std::exception_ptr, Result<void> r) { stopped = r; });
  EXPECT_TRUE(await_result((*run)->kill())) << "while stop waits";
  ASSERT_TRUE(run_until([&] { return stopped.has_value(); }));
  EXPECT_TRUE(*stopped);
  EXPECT_EQ((*run)->exit_status()->code, 137);
}

TEST_F(ContainerTest, APausedOneIsResumedToBeStopped) {
  auto run = start({.image = "srv:1"});
  ASSERT_TRUE(run);
  ContainerApi api(io_.get_executor(), socket_);
  ASSERT_TRUE(await_result(api.pause("mgpu-chat")));
  EXPECT_TRUE(await_result((*run)->stop(seconds(5))));
  EXPECT_FALSE(engine_.containers["mgpu-chat"].running);
}

TEST_F(ContainerTest, AnErrorNamesTheSocketsThatWereTried) {
  engine_.close();
  const auto run = start({.name = "vllm"});
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, ErrorCode::load_failed);
  EXPECT_NE(run.error().detail.find("can't reach " + socket_), std::string::npos);
}

TEST(ContainerApi, TriesTheUsualSocketsInOrder) {
  setenv("DOCKER_HOST", "unix:///d", 1);
  setenv("XDG_RUNTIME_DIR", "/u", 1);
  EXPECT_EQ(ContainerApi::sockets({}), (Words{"/d", "/var/run/docker.sock", "/u/docker.sock",
                                              "/run/podman/podman.sock", "/u/podman/podman.sock"}));
  EXPECT_EQ(ContainerApi::sockets({.socket = "/only"}), Words{"/only"});
  unsetenv("DOCKER_HOST");
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(ContainerApi::sockets({}), (Words{"/var/run/docker.sock", "/run/podman/podman.sock"}));
}

TEST(CreationBody, HasEverythingOfTheConfiguration) {
  const json body = creation_body("chat",
                                  {.image = "srv:1",
                                   .command = {"--port", "${PORT}"},
                                   .env = {{"A", "1"}},
                                   .ports = {"80", "[::1]:81:8000/udp"},
                                   .gpus = {"all"},
                                   .volumes = {"/srv:/models:ro"},
                                   .network = "host",
                                   .shm_size = kGiB},
                                  7777);
  EXPECT_EQ(body["Image"], "srv:1");
  EXPECT_EQ(body["Cmd"], json({"--port", "7777"}));
  EXPECT_EQ(body["Env"], json::array({"A=1"}));
  EXPECT_EQ(body["Labels"], json({{"mgpu.consumer", "chat"}, {"mgpu.port", "7777"}}));
  const json& host = body["HostConfig"];
  EXPECT_EQ(host["PortBindings"]["80/tcp"][0]["HostPort"], "");
  EXPECT_EQ(host["PortBindings"]["8000/udp"][0], json({{"HostIp", "::1"}, {"HostPort", "81"}}));
  EXPECT_EQ(host["DeviceRequests"][0]["Count"], -1);
  EXPECT_EQ(host["Binds"], json::array({"/srv:/models:ro"}));
  EXPECT_EQ(host["NetworkMode"], "host");
  EXPECT_EQ(host["ShmSize"], kGiB.count);
}

TEST(CreationBody, RequestsGpusInTheFormOfTheirNames) {
  const auto requested = [](Words gpus) {
    return creation_body("chat", {.image = "srv:1", .gpus = std::move(gpus)},
                         {})["HostConfig"]["DeviceRequests"];
  };
  EXPECT_EQ(requested({}), json::array());
  EXPECT_EQ(requested({"0", "GPU-8f6d"})[0]["DeviceIDs"], json({"0", "GPU-8f6d"}));
  EXPECT_EQ(requested({"nvidia.com/gpu=0"})[0]["Driver"], "cdi");
}

TEST(CreationBody, OfAllDevicesItGetsThoseThatItIsBoundTo) {
  const std::string uuid = "GPU-51304c70-0000-4000-8000-000000000002";
  const DeviceBinding nvidia{.variables = {{"CUDA_VISIBLE_DEVICES", uuid}}, .uuids = {uuid}};
  const auto created = [](Words gpus, const DeviceBinding& binding) {
    return creation_body("chat", {.image = "srv:1", .env = {{"A", "1"}}, .gpus = std::move(gpus)}, {},
                         binding);
  };
  const json all = created({"all"}, nvidia);
  EXPECT_EQ(all["HostConfig"]["DeviceRequests"][0]["DeviceIDs"], json({uuid}));
  EXPECT_EQ(all["Env"], json::array({"A=1"})) << "in the container the devices have other numbers";
  EXPECT_EQ(created({"0"}, nvidia)["HostConfig"]["DeviceRequests"][0]["DeviceIDs"], json::array({"0"}));
  EXPECT_EQ(created({}, nvidia)["Env"], json({"A=1", "NVIDIA_VISIBLE_DEVICES=" + uuid}));
  const DeviceBinding amd{.variables = {{"ROCR_VISIBLE_DEVICES", "GPU-99aabbccddeeff00"}},
                          .uuids = {"GPU-99aabbccddeeff00"}};
  EXPECT_EQ(created({}, amd)["Env"], json({"A=1", "ROCR_VISIBLE_DEVICES=GPU-99aabbccddeeff00"}));
}

}  // namespace
}  // namespace mgpu::runner
