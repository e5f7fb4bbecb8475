// Test fixture of the engine: a simulated GPU, real processes of mgpu-fake-service, one strand.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/engine.h"
#include "gpu/provider.h"
#include "sched/step.h"

#include "simgpu/state_file.h"
#include "tests/event_loop_fixture.h"

namespace mgpu::engine {

// One call of Engine::acquire and its result. It keeps the lease until `answer` is reset.
struct Caller {
  std::optional<Result<Lease>> answer{};
  std::optional<TicketId> ticket{};
  boost::asio::cancellation_signal cancel_signal{};

  bool has_lease() const { return answer && answer->has_value(); }
  bool is_refused_with(ErrorCode code) const { return answer && !*answer && answer->error().code == code; }
  void cancel() { cancel_signal.emit(boost::asio::cancellation_type::terminal); }
};

class EngineFixture : public testing::Test {
 protected:
  static constexpr std::chrono::seconds kTimeout{5};

  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("mgpu-engine-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    const std::string file = folder_ / "gpu";
    ASSERT_TRUE(simgpu::create_state_file(file, {{.total = 1000ULL << 20}}));
    ::setenv("MGPU_SIMGPU", file.c_str(), 1);
    ::setenv("MGPU_NVML_LIBRARY", MGPU_SIMGPU_LIBRARY, 1);
    auto opened = gpu::open_nvml(MGPU_SIMGPU_LIBRARY);
    ASSERT_TRUE(opened) << opened.error().detail;
    provider_ = std::move(*opened);
    config_.gpu.sample_busy = std::chrono::milliseconds(20);
    config_.gpu.sample_idle = std::chrono::milliseconds(500);
    config_.devices = {{.id = "gpu0", .reserve = Bytes{}}};
  }

  void TearDown() override {
    if (HasFailure() && engine_) std::cerr << format_journal();
    for (const auto& caller : callers_) caller->answer.reset();
    engine_.reset();
    io_.poll();
    std::filesystem::remove_all(folder_);
  }

  // The journal as text, printed when a test fails.
  std::string format_journal() const {
    std::string text;
    for (const JournalEntryPtr& shared_entry : engine_->journal().entries()) {
      const JournalEntry& entry = *shared_entry;
      text += std::to_string(entry.at.us / 1000) + " ms ";
      if (const auto* effect = std::get_if<Effect>(&entry.payload)) {
        text += "  effect " + std::to_string(effect->index());
      } else {
        const EventPayload& event = std::get<EventPayload>(entry.payload);
        text += "event " + std::to_string(event.index());
        if (const auto* taken = std::get_if<ReadingTaken>(&event))
          text += " foreign " + to_string(taken->reading.foreign) + " of " + to_string(taken->reading.total) +
                  (taken->reading.lost ? " lost" : "");
        if (const auto* ended = std::get_if<LoadEnded>(&event))
          text += ended->result ? " loaded" : " failed: " + ended->result.error().detail;
        if (const auto* ended = std::get_if<RungEnded>(&event))
          text += ended->result ? " answered" : " failed: " + ended->result.error().detail;
      }
      text += "\n";
    }
    return text;
  }

  // A consumer of 600 of the 1000 MiB, so that two never fit together.
  config::ConsumerConfig& add_consumer_config(const std::string& name,
                                              const std::vector<std::string>& options = {}) {
    config::ProcessConfig process;
    process.command = {MGPU_FAKE_SERVICE, "--port", "${PORT}", "--name", name, "--bytes", "629145600"};
    process.command.insert(process.command.end(), options.begin(), options.end());
    config::ConsumerConfig consumer_config{.name = name, .process = process, .footprint = kMiB * 600};
    consumer_config.service.type = config::ServiceType::generic;
    consumer_config.service.url = "http://127.0.0.1:${PORT}";
    consumer_config.load_limit = std::chrono::seconds(10);
    consumer_config.stop_limit = std::chrono::seconds(3);
    return config_.consumers.emplace_back(consumer_config);
  }

  void start_engine() {
    auto created = Engine::create(io_, config_, *provider_);
    ASSERT_TRUE(created) << created.error().detail;
    engine_ = std::move(*created);
    engine_->start();
  }

  Caller& acquire_for(const std::string& name) {
    const auto target = engine_->resolve(name);
    EXPECT_TRUE(target) << name;
    return acquire({.consumer = target->consumer, .resident = target->resident}, {.who = name});
  }

  // acquire_for, and waits for the lease.
  Caller& acquire_granted(const std::string& name) {
    Caller& caller = acquire_for(name);
    EXPECT_TRUE(run_until([&] { return caller.has_lease(); })) << name;
    return caller;
  }

  Caller& acquire(TicketRequest ask, Holder holder) {
    Caller& caller = *callers_.emplace_back(std::make_unique<Caller>());
    boost::asio::co_spawn(
        io_, await_lease(caller, ask, holder),
        boost::asio::bind_cancellation_slot(caller.cancel_signal.slot(), [](const std::exception_ptr&) {}));
    return caller;
  }

  boost::asio::awaitable<void> await_lease(Caller& caller, TicketRequest ask, Holder holder) {
    const std::function<void(TicketId)> on_ticket = [&caller](TicketId ticket) { caller.ticket = ticket; };
    auto answer = co_await engine_->acquire(ask, holder, on_ticket);
    caller.answer.emplace(std::move(answer));
  }

  // Runs the strand until `condition` holds; false after a timeout.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition) {
    return mgpu::run_until(io_, condition, kTimeout);
  }

  template <class Entity>
  std::vector<Entity> journaled() const {
    std::vector<Entity> found;
    for (const JournalEntryPtr& shared_entry : engine_->journal().entries()) {
      const JournalEntry& entry = *shared_entry;
      if (const auto* effect = std::get_if<Effect>(&entry.payload)) {
        if constexpr (std::is_constructible_v<Effect, Entity>)
          if (const auto* what = std::get_if<Entity>(effect)) found.push_back(*what);
      } else if constexpr (std::is_constructible_v<EventPayload, Entity>) {
        if (const auto* what = std::get_if<Entity>(&std::get<EventPayload>(entry.payload)))
          found.push_back(*what);
      }
    }
    return found;
  }

  Residency residency_of(const std::string& name) const {
    const auto consumer = engine_->find_consumer(name);
    return engine_->world().registry[engine_->world().registry[*consumer].residents.front()].state;
  }
  int pid_of(const std::string& name) const {
    return engine_->pid_of(*engine_->find_consumer(name)).value_or(0);
  }
  Statistics statistics() const { return total_statistics(engine_->world()); }

  std::uint64_t refused_allocations() const {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    return (*state)->devices[0].oom_count;
  }

  std::filesystem::path folder_;
  // Declared before io_: pending coroutines refer to their callers and signals.
  std::vector<std::unique_ptr<Caller>> callers_;
  boost::asio::io_context io_;
  std::unique_ptr<gpu::Provider> provider_;
  config::Config config_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace mgpu::engine
