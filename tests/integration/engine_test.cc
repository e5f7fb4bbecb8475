#include <csignal>

#include "gpu/process_table.h"

#include "engine_fixture.h"

namespace mgpu::engine {
namespace {

TEST_F(EngineFixture, ConsumersThatDoNotFitTogetherTakeTurns) {
  add_consumer_config("chat");
  add_consumer_config("voice");
  start_engine();
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return chat.answer.has_value(); }));
  ASSERT_TRUE(chat.has_lease()) << chat.answer->error().detail;
  EXPECT_GT(chat.answer->value().loading(), Duration{0});
  const int chat_pid = pid_of("chat");
  EXPECT_GT(chat_pid, 0);

  Caller& voice = acquire_for("voice");
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 1; }));
  EXPECT_FALSE(voice.answer);
  chat.answer.reset();  // releases the lease
  ASSERT_TRUE(run_until([&] { return voice.has_lease(); }));
  EXPECT_EQ(residency_of("chat"), Residency::cold);
  EXPECT_EQ(pid_of("chat"), 0);

  voice.answer.reset();
  Caller& again = acquire_granted("chat");
  EXPECT_NE(pid_of("chat"), chat_pid);
  again.answer.reset();
  ASSERT_TRUE(run_until([&] { return statistics().total_jobs == 3; }));
  EXPECT_EQ(statistics().in_flight, 0U);
  EXPECT_EQ(journaled<Evicted>().size(), 2U);
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(EngineFixture, AServiceThatUnloadsKeepsItsProcess) {
  auto& chat = add_consumer_config("chat", {"--lazy"});
  chat.service.load = config::RequestConfig{.path = "/load"};
  chat.service.unload = config::RequestConfig{.path = "/unload"};
  add_consumer_config("voice");
  start_engine();
  Caller& first = acquire_granted("chat");
  const int pid = pid_of("chat");
  first.answer.reset();
  Caller& other = acquire_granted("voice");
  EXPECT_EQ(pid_of("chat"), pid);
  EXPECT_EQ(journaled<Evicted>().front().rung, Rung::service);
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(EngineFixture, AFailedLoadReportsTheLastLinesOfItsLog) {
  add_consumer_config("chat", {"--fault", "oom"});
  start_engine();
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return chat.answer.has_value(); }));
  ASSERT_FALSE(*chat.answer);
  const Error& why = chat.answer->error();
  EXPECT_TRUE(why.code == ErrorCode::load_failed || why.code == ErrorCode::out_of_memory)
      << to_string(why.code);
  EXPECT_NE(why.detail.find("exited with code 1"), std::string::npos) << why.detail;
  EXPECT_NE(why.detail.find("cudaMalloc failed"), std::string::npos) << why.detail;
  EXPECT_EQ(residency_of("chat"), Residency::failed);
}

TEST_F(EngineFixture, AnUnhealthyProcessFailsAtTheLoadLimitAndIsStopped) {
  add_consumer_config("chat", {"--fault", "never-healthy"}).load_limit = std::chrono::milliseconds(400);
  start_engine();
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.is_refused_with(ErrorCode::load_failed));
  EXPECT_EQ(pid_of("chat"), 0);
}

TEST_F(EngineFixture, AMissingCommandIsAFailedLoad) {
  add_consumer_config("chat").process->command = {"/no/such/program"};
  start_engine();
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.is_refused_with(ErrorCode::load_failed));
}

TEST_F(EngineFixture, ACrashEndsTheLeaseAndTheNextCallerGetsAFreshProcess) {
  add_consumer_config("chat");
  start_engine();
  Caller& chat = acquire_granted("chat");
  std::optional<Error> end_error;
  chat.answer->value().on_ended([&](const Error& why) { end_error = why; });
  ::kill(pid_of("chat"), SIGKILL);
  ASSERT_TRUE(run_until([&] { return end_error.has_value(); }));
  EXPECT_EQ(end_error->code, ErrorCode::service_down);
  EXPECT_NE(end_error->detail.find("signal 9"), std::string::npos) << end_error->detail;
  EXPECT_TRUE(chat.answer->value().end_error());
  EXPECT_EQ(statistics().in_flight, 0U);

  Caller& next = acquire_granted("chat");
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(EngineFixture, ACancelledTicketLeavesNothingBehind) {
  add_consumer_config("chat");
  start_engine();
  Caller& holder = acquire_granted("chat");
  Caller& waiter = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 1; }));
  EXPECT_NE(engine_->holder(*waiter.ticket), nullptr);
  waiter.cancel();
  ASSERT_TRUE(run_until([&] { return waiter.answer.has_value(); }));
  EXPECT_TRUE(waiter.is_refused_with(ErrorCode::cancelled));
  EXPECT_EQ(statistics().queue_depth, 0U);
  EXPECT_EQ(engine_->holder(*waiter.ticket), nullptr);
  EXPECT_TRUE(holder.has_lease());
}

TEST_F(EngineFixture, ACancellationDuringALoadLeavesTheConsumerWarm) {
  add_consumer_config("chat", {"--load-ms", "300"});
  start_engine();
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return residency_of("chat") == Residency::loading; }));
  chat.cancel();
  ASSERT_TRUE(run_until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.is_refused_with(ErrorCode::cancelled));
  ASSERT_TRUE(run_until([&] { return residency_of("chat") == Residency::warm; }));
  EXPECT_EQ(statistics().in_flight, 0U);
  EXPECT_TRUE(engine_->world().tickets.empty());
}

TEST_F(EngineFixture, ACancellationThatCrossesTheGrantGivesTheLeaseBack) {
  add_consumer_config("chat");
  start_engine();
  Caller& holder = acquire_granted("chat");
  Caller& next = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 1; }));
  next.cancel();          // posted,
  holder.answer.reset();  // and this grants to the next before it arrives
  EXPECT_EQ(statistics().in_flight, 1U);
  ASSERT_TRUE(run_until([&] { return next.answer.has_value(); }));
  EXPECT_FALSE(next.has_lease());
  EXPECT_EQ(statistics().in_flight, 0U);
  EXPECT_TRUE(engine_->world().tickets.empty());
}

TEST_F(EngineFixture, AnOperatorEndsALease) {
  add_consumer_config("chat");
  start_engine();
  Caller& chat = acquire_granted("chat");
  EXPECT_TRUE(engine_->cancel(*chat.ticket, "enough"));
  EXPECT_EQ(chat.answer->value().end_error()->detail, "enough");
  EXPECT_EQ(engine_->cancel(TicketId{99}, "").error().code, ErrorCode::not_found);
  EXPECT_EQ(statistics().in_flight, 0U);
}

TEST_F(EngineFixture, AProcessThatIgnoresStopIsKilled) {
  add_consumer_config("chat", {"--fault", "ignore-stop"}).stop_limit = std::chrono::milliseconds(500);
  add_consumer_config("voice");
  start_engine();
  Caller& chat = acquire_granted("chat");
  chat.answer.reset();
  Caller& voice = acquire_granted("voice");
  EXPECT_EQ(journaled<Evicted>().front().rung, Rung::kill);
  EXPECT_EQ(refused_allocations(), 0U);
}

// A service with two AI models in one process; the first one is warm.
struct TwoAiModels : EngineFixture {
  void SetUp() override {
    EngineFixture::SetUp();
    auto& many = add_consumer_config("many", {"--ollama", "first=104857600", "second=104857600"});
    many.service.type = config::ServiceType::ollama;
    many.ai_models = {{"first", kMiB * 100}, {"second", kMiB * 100}};
    many.load_limit = std::chrono::milliseconds(1500);
    many.concurrency = 2;
    start_engine();
    holder_ = &acquire_for("first");
    ASSERT_TRUE(run_until([&] { return holder_->has_lease(); })) << format_journal();
    pid_ = pid_of("many");
    ASSERT_GT(pid_, 0);
  }
  void fail_second_load() {
    ::kill(pid_, SIGSTOP);
    Caller& other = acquire_for("second");
    const auto answered = [&] { return other.answer.has_value(); };
    ASSERT_TRUE(run_until(answered) || run_until(answered));  // one health check takes up to five seconds
    EXPECT_TRUE(other.is_refused_with(ErrorCode::load_failed));
    ::kill(pid_, SIGCONT);
  }
  Caller* holder_ = nullptr;
  int pid_ = 0;
};

TEST_F(TwoAiModels, AFailedLoadDoesNotStopTheProcessWhileTheOtherRuns) {
  fail_second_load();
  EXPECT_EQ(pid_of("many"), pid_);
  EXPECT_FALSE(holder_->answer->value().end_error());
  holder_->answer.reset();
  Caller& again = acquire_granted("first");
  EXPECT_EQ(pid_of("many"), pid_);
}

TEST_F(TwoAiModels, AFailedLoadThatStopsTheProcessMakesTheOtherCold) {
  holder_->answer.reset();
  fail_second_load();
  EXPECT_EQ(residency_of("many"), Residency::cold);
  Caller& again = acquire_granted("first");
  EXPECT_NE(pid_of("many"), pid_);
  EXPECT_GT(pid_of("many"), 0);
}

TEST_F(EngineFixture, ALateListenerIsToldThatTheLeaseHasEnded) {
  add_consumer_config("chat");
  start_engine();
  Caller& chat = acquire_granted("chat");
  ASSERT_TRUE(engine_->cancel(*chat.ticket, "enough"));
  io_.restart();
  io_.poll();  // an earlier listener would have been called by now
  std::vector<std::string> end_reasons;
  chat.answer->value().on_ended([&](const Error& why) { end_reasons.push_back(why.detail); });
  EXPECT_TRUE(end_reasons.empty()) << "the call is posted";
  ASSERT_TRUE(run_until([&] { return !end_reasons.empty(); }));
  EXPECT_EQ(end_reasons, std::vector<std::string>{"enough"});
}

TEST_F(EngineFixture, BytesOnAnotherDeviceAreAttributedThere) {
  ASSERT_TRUE(
      simgpu::create_state_file(folder_ / "gpu", {{.total = 1000ULL << 20}, {.total = 1000ULL << 20}}));
  provider_ = std::move(*gpu::open_nvml(MGPU_SIMGPU_LIBRARY));
  config_.devices.push_back({.id = "gpu1", .index = 1, .reserve = Bytes{}});
  config_.consumers.push_back({.name = "train", .devices = {"gpu0", "gpu1"}, .footprint = kMiB * 300});
  {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    (*state)->devices[0].faults.foreign = 900ULL << 20;
  }
  start_engine();
  ASSERT_TRUE(run_until([&] { return engine_->world().registry.readings[1].taken_at > Instant{}; }));
  const auto train = *engine_->find_consumer("train");
  Caller& caller = acquire({.consumer = train}, {.who = "train.py", .pid = ::getpid()});
  ASSERT_TRUE(run_until([&] { return caller.has_lease(); }));
  EXPECT_EQ(caller.answer->value().device(), DeviceId{1});
  {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    const simgpu::ProcessIdentity self{.pid = ::getpid(),
                                       .start_time = gpu::read_process(::getpid())->start_time};
    ASSERT_EQ(simgpu::allocate((*state)->devices[1], self, 200ULL << 20), 0);
  }
  const auto& registry = engine_->world().registry;
  EXPECT_TRUE(run_until([&] { return registry[train].primary_usage.measured == kMiB * 200; }));
  EXPECT_EQ(registry.readings[1].foreign, Bytes{});
  const auto state = simgpu::LockedState::open(folder_ / "gpu");
  (*state)->devices[1].holders = {};
}

TEST_F(EngineFixture, AnInfiniteLimitSetsNoTimer) {
  add_consumer_config("chat");
  start_engine();
  Caller& holder = acquire_granted("chat");
  for (const Duration limit :
       {Duration::max(), Duration::max() / 2, Duration{99'999'999LL * 3'600'000'000}}) {
    const auto target = engine_->resolve("chat");
    acquire(
        {.consumer = target->consumer, .resident = target->resident, .wait_limit = limit, .deadline = limit},
        {});
  }
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 3; }));
  const auto before = journaled<Tick>().size();
  const auto later = engine_->now() + std::chrono::milliseconds(300);
  ASSERT_TRUE(run_until([&] { return engine_->now() > later; }));
  EXPECT_LE(journaled<Tick>().size(), before + 3);
  EXPECT_EQ(statistics().queue_depth, 3U);
}

TEST_F(EngineFixture, AHangingDriverDoesNotBlockShutdown) {
  add_consumer_config("chat");
  start_engine();
  Caller& chat = acquire_granted("chat");
  const auto hang = [&](std::uint32_t is_hanging) {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    (*state)->devices[0].faults.hang = is_hanging;
  };
  hang(1);
  ASSERT_TRUE(run_until([&] {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    return (*state)->devices[0].hanging > 0;
  }));
  chat.answer.reset();
  const int pid = pid_of("chat");
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(run_until([&] { return drained; }));
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_FALSE(engine_->stop_sampling());
  hang(0);
  EXPECT_TRUE(run_until([&] { return engine_->stop_sampling(); }))
      << "the thread ends once the driver answers";
}

TEST_F(EngineFixture, DrainFinishesWorkRefusesTheRestAndStopsProcesses) {
  add_consumer_config("chat");
  start_engine();
  Caller& running = acquire_granted("chat");
  Caller& waiting = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 1; }));
  const int pid = pid_of("chat");
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(run_until([&] { return waiting.answer.has_value(); }));
  EXPECT_TRUE(waiting.is_refused_with(ErrorCode::shutting_down));
  EXPECT_FALSE(drained);
  EXPECT_EQ(::kill(pid, 0), 0);
  running.answer.reset();
  ASSERT_TRUE(run_until([&] { return drained; }));
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(EngineFixture, DrainEndsWorkAfterItsLimit) {
  add_consumer_config("chat");
  config_.limits.drain_limit = std::chrono::milliseconds(200);
  start_engine();
  Caller& running = acquire_granted("chat");
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(run_until([&] { return drained; }));
  EXPECT_EQ(running.answer->value().end_error()->code, ErrorCode::shutting_down);
}

TEST_F(EngineFixture, ABareLeaseHoldsBytesOfItsOwn) {
  add_consumer_config("chat");
  start_engine();
  Caller& training = acquire({.bytes = kMiB * 700}, {.who = "train.py", .pid = ::getpid()});
  ASSERT_TRUE(run_until([&] { return training.has_lease(); }));
  Caller& chat = acquire_for("chat");
  ASSERT_TRUE(run_until([&] { return statistics().queue_depth == 1; }));
  training.answer.reset();
  ASSERT_TRUE(run_until([&] { return chat.has_lease(); }));
  Caller& giant = acquire({.bytes = kMiB * 2000}, {});
  ASSERT_TRUE(run_until([&] { return giant.answer.has_value(); }));
  EXPECT_TRUE(giant.is_refused_with(ErrorCode::never_fits));
}

TEST_F(EngineFixture, NamesResolveToConsumers) {
  add_consumer_config("chat").aliases = {"gpt-4o-mini"};
  auto& many = add_consumer_config("many");
  many.service.type = config::ServiceType::ollama;
  many.ai_models = {{"llama3.2", kMiB * 300}};
  config_.consumers.push_back({.name = "train", .footprint = kMiB * 100});
  start_engine();
  EXPECT_EQ(engine_->resolve("gpt-4o-mini")->consumer, engine_->resolve("chat")->consumer);
  EXPECT_EQ(engine_->resolve("llama3.2")->resident, engine_->resolve("many/llama3.2:latest")->resident);
  EXPECT_FALSE(engine_->resolve("train")->resident);
  const auto unknown = engine_->resolve("chta");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_NE(unknown.error().detail.find("chat"), std::string::npos);
  EXPECT_EQ(engine_->find_device("gpu0"), DeviceId{0});
}

TEST_F(EngineFixture, AMissingDeviceIsAnInvalidConfig) {
  config_.devices = {{.id = "gpu7", .index = 7}};
  EXPECT_EQ(Engine::create(io_, config_, *provider_).error().code, ErrorCode::invalid_config);
}

}  // namespace
}  // namespace mgpu::engine
