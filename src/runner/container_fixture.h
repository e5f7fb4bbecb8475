// For tests: the fake container engine on its own socket, and the operations that tests need.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "runner/container.h"
#include "runner/fake_container_engine.h"
#include "runner/runner_fixture.h"

namespace mgpu::runner {

class ContainerTest : public RunnerTest {
 protected:
  ~ContainerTest() override { std::filesystem::remove_all(folder_); }

  StartResult start(config::ContainerConfig config) {
    config.socket = socket_;
    return await_result(start_container(io_.get_executor(), "chat", config, options()));
  }
  StartResult find(config::ContainerConfig config) {
    config.socket = socket_;
    return await_result(find_container(io_.get_executor(), "chat", config, options()));
  }

  // --- the contract that is the same for every engine (external_run_test.cc) ---
  StartResult start() { return start({.name = "vllm"}); }
  StartResult find() { return find({.name = "vllm"}); }
  void set_up_stopped() { engine_.containers["vllm"]; }
  void set_up_running() { engine_.containers["vllm"].running = true; }
  bool is_up() { return engine_.containers["vllm"].running; }
  void ignore_kill() { engine_.containers["vllm"].ignores_kill = true; }
  void end_run(int code) { engine_.end_container("vllm", code); }
  void disconnect() { engine_.close(); }
  void reconnect() { engine_.open(); }
  std::string identity_of(const Runner& run) { return run.identity().container_id; }
  static constexpr const char* kIdentity = "vllm";

  static std::string make_temporary_folder() {
    char folder[] = "/tmp/mgpu-container-XXXXXX";
    return mkdtemp(folder);
  }
  std::string folder_ = make_temporary_folder();
  std::string socket_ = folder_ + "/engine.sock";
  FakeContainerEngine engine_{io_, socket_};
};

}  // namespace mgpu::runner
