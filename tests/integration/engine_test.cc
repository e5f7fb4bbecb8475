#include <csignal>

#include "gpu/process_table.h"

#include "stage.h"

namespace mgpu::engine {
namespace {

TEST_F(Stage, TwoThatDoNotFitTogetherTakeTurns) {
  consumer("chat");
  consumer("voice");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.answer.has_value(); }));
  ASSERT_TRUE(chat.holds()) << chat.answer->error().detail;
  EXPECT_GT(chat.answer->value().loading(), Duration{0});
  const int chat_pid = pid_of("chat");
  EXPECT_GT(chat_pid, 0);

  Caller& voice = asks_for("voice");
  ASSERT_TRUE(until([&] { return figures().queue_depth == 1; }));
  EXPECT_FALSE(voice.answer);
  chat.answer.reset();  // the lease gives itself back
  ASSERT_TRUE(until([&] { return voice.holds(); }));
  EXPECT_EQ(state_of("chat"), Residency::cold);
  EXPECT_EQ(pid_of("chat"), 0);

  voice.answer.reset();
  Caller& again = asks_for("chat");
  ASSERT_TRUE(until([&] { return again.holds(); }));
  EXPECT_NE(pid_of("chat"), chat_pid);
  again.answer.reset();
  ASSERT_TRUE(until([&] { return figures().total_jobs == 3; }));
  EXPECT_EQ(figures().in_flight, 0U);
  EXPECT_EQ(told<Evicted>().size(), 2U);
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(Stage, AServiceThatUnloadsKeepsItsProcess) {
  auto& chat = consumer("chat", {"--lazy"});
  chat.service.load = config::RequestConfig{.path = "/load"};
  chat.service.unload = config::RequestConfig{.path = "/unload"};
  consumer("voice");
  curtain_up();
  Caller& first = asks_for("chat");
  ASSERT_TRUE(until([&] { return first.holds(); }));
  const int pid = pid_of("chat");
  first.answer.reset();
  Caller& other = asks_for("voice");
  ASSERT_TRUE(until([&] { return other.holds(); }));
  EXPECT_EQ(pid_of("chat"), pid);
  EXPECT_EQ(told<Evicted>().front().rung, Rung::service);
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(Stage, ALoadThatFailsSaysWhyWithTheLastLines) {
  consumer("chat", {"--fault", "oom"});
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.answer.has_value(); }));
  ASSERT_FALSE(*chat.answer);
  const Error& why = chat.answer->error();
  EXPECT_TRUE(why.code == ErrorCode::load_failed || why.code == ErrorCode::out_of_memory)
      << to_string(why.code);
  EXPECT_NE(why.detail.find("exited with code 1"), std::string::npos) << why.detail;
  EXPECT_NE(why.detail.find("cudaMalloc failed"), std::string::npos) << why.detail;
  EXPECT_EQ(state_of("chat"), Residency::failed);
}

TEST_F(Stage, WhatNeverGetsHealthyFailsAtItsLimitAndIsStopped) {
  consumer("chat", {"--fault", "never-healthy"}).load_limit = std::chrono::milliseconds(400);
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.refused_with(ErrorCode::load_failed));
  EXPECT_EQ(pid_of("chat"), 0);
}

TEST_F(Stage, ACommandThatIsNotThereIsALoadThatFailed) {
  consumer("chat").process->command = {"/no/such/program"};
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.refused_with(ErrorCode::load_failed));
}

TEST_F(Stage, ACrashEndsTheLeaseAndTheNextCallerGetsAFreshProcess) {
  consumer("chat");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  std::optional<Error> heard;
  chat.answer->value().on_ended([&](const Error& why) { heard = why; });
  ::kill(pid_of("chat"), SIGKILL);
  ASSERT_TRUE(until([&] { return heard.has_value(); }));
  EXPECT_EQ(heard->code, ErrorCode::service_down);
  EXPECT_NE(heard->detail.find("signal 9"), std::string::npos) << heard->detail;
  EXPECT_TRUE(chat.answer->value().end_error());
  EXPECT_EQ(figures().in_flight, 0U);

  Caller& next = asks_for("chat");
  ASSERT_TRUE(until([&] { return next.holds(); }));
  EXPECT_EQ(refused_allocations(), 0U);
}

TEST_F(Stage, ACallerWhoLeavesTheLineLeavesNothing) {
  consumer("chat");
  curtain_up();
  Caller& holder = asks_for("chat");
  ASSERT_TRUE(until([&] { return holder.holds(); }));
  Caller& waiter = asks_for("chat");
  ASSERT_TRUE(until([&] { return figures().queue_depth == 1; }));
  EXPECT_NE(engine_->holder(*waiter.ticket), nullptr);
  waiter.go_away();
  ASSERT_TRUE(until([&] { return waiter.answer.has_value(); }));
  EXPECT_TRUE(waiter.refused_with(ErrorCode::cancelled));
  EXPECT_EQ(figures().queue_depth, 0U);
  EXPECT_EQ(engine_->holder(*waiter.ticket), nullptr);
  EXPECT_TRUE(holder.holds());
}

TEST_F(Stage, ACallerWhoLeavesWhileItsLoadRunsLeavesTheConsumerWarm) {
  consumer("chat", {"--load-ms", "300"});
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return state_of("chat") == Residency::loading; }));
  chat.go_away();
  ASSERT_TRUE(until([&] { return chat.answer.has_value(); }));
  EXPECT_TRUE(chat.refused_with(ErrorCode::cancelled));
  ASSERT_TRUE(until([&] { return state_of("chat") == Residency::warm; }));
  EXPECT_EQ(figures().in_flight, 0U);
  EXPECT_TRUE(engine_->world().tickets.empty());
}

TEST_F(Stage, ACancellationThatCrossesTheGrantGivesTheLeaseBack) {
  consumer("chat");
  curtain_up();
  Caller& holder = asks_for("chat");
  ASSERT_TRUE(until([&] { return holder.holds(); }));
  Caller& next = asks_for("chat");
  ASSERT_TRUE(until([&] { return figures().queue_depth == 1; }));
  next.go_away();         // on its way,
  holder.answer.reset();  // when this grants to the next
  EXPECT_EQ(figures().in_flight, 1U);
  ASSERT_TRUE(until([&] { return next.answer.has_value(); }));
  EXPECT_FALSE(next.holds());
  EXPECT_EQ(figures().in_flight, 0U);
  EXPECT_TRUE(engine_->world().tickets.empty());
}

TEST_F(Stage, AnOperatorEndsALease) {
  consumer("chat");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  EXPECT_TRUE(engine_->cancel(*chat.ticket, "enough"));
  EXPECT_EQ(chat.answer->value().end_error()->detail, "enough");
  EXPECT_EQ(engine_->cancel(TicketId{99}, "").error().code, ErrorCode::not_found);
  EXPECT_EQ(figures().in_flight, 0U);
}

TEST_F(Stage, WhoIgnoresStopIsKilled) {
  consumer("chat", {"--fault", "ignore-stop"}).stop_limit = std::chrono::milliseconds(500);
  consumer("voice");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  chat.answer.reset();
  Caller& voice = asks_for("voice");
  ASSERT_TRUE(until([&] { return voice.holds(); }));
  EXPECT_EQ(told<Evicted>().front().rung, Rung::kill);
  EXPECT_EQ(refused_allocations(), 0U);
}

// A service of two AI models in one process, of which the first is warm.
struct TwoAiModels : Stage {
  void SetUp() override {
    Stage::SetUp();
    auto& many = consumer("many", {"--ollama", "first=104857600", "second=104857600"});
    many.service.type = config::ServiceType::ollama;
    many.ai_models = {{"first", kMiB * 100}, {"second", kMiB * 100}};
    many.load_limit = std::chrono::milliseconds(1500);
    many.concurrency = 2;
    curtain_up();
    holder_ = &asks_for("first");
    ASSERT_TRUE(until([&] { return holder_->holds(); })) << what_happened();
    pid_ = pid_of("many");
    ASSERT_GT(pid_, 0);
  }
  void the_second_is_asked_for_while_it_hangs() {
    ::kill(pid_, SIGSTOP);
    Caller& other = asks_for("second");
    const auto answered = [&] { return other.answer.has_value(); };
    ASSERT_TRUE(until(answered) || until(answered));  // one look at its health takes five seconds
    EXPECT_TRUE(other.refused_with(ErrorCode::load_failed));
    ::kill(pid_, SIGCONT);
  }
  Caller* holder_ = nullptr;
  int pid_ = 0;
};

TEST_F(TwoAiModels, AFailedLoadOfOneDoesNotStopTheProcessInWhichAnotherWorks) {
  the_second_is_asked_for_while_it_hangs();
  EXPECT_EQ(pid_of("many"), pid_);
  EXPECT_FALSE(holder_->answer->value().end_error());
  holder_->answer.reset();
  Caller& again = asks_for("first");
  ASSERT_TRUE(until([&] { return again.holds(); }));
  EXPECT_EQ(pid_of("many"), pid_);
}

TEST_F(TwoAiModels, WhereAFailedLoadStopsTheProcessTheOtherIsWarmNoMore) {
  holder_->answer.reset();
  the_second_is_asked_for_while_it_hangs();
  EXPECT_EQ(state_of("many"), Residency::cold);
  Caller& again = asks_for("first");
  ASSERT_TRUE(until([&] { return again.holds(); }));
  EXPECT_NE(pid_of("many"), pid_);
  EXPECT_GT(pid_of("many"), 0);
}

TEST_F(Stage, WhoListensAfterTheLeaseHasEndedHearsOfItAllTheSame) {
  consumer("chat");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  ASSERT_TRUE(engine_->cancel(*chat.ticket, "enough"));
  io_.restart();
  io_.poll();  // who listened would have heard by now
  std::vector<std::string> heard;
  chat.answer->value().on_ended([&](const Error& why) { heard.push_back(why.detail); });
  EXPECT_TRUE(heard.empty()) << "it is posted";
  ASSERT_TRUE(until([&] { return !heard.empty(); }));
  EXPECT_EQ(heard, std::vector<std::string>{"enough"});
}

TEST_F(Stage, WhoWasPlacedElsewhereHasItsBytesFoundThere) {
  ASSERT_TRUE(
      simgpu::create_state_file(folder_ / "gpu", {{.total = 1000ULL << 20}, {.total = 1000ULL << 20}}));
  provider_ = std::move(*gpu::open_nvml(MGPU_SIMGPU_LIBRARY));
  config_.devices.push_back({.id = "gpu1", .index = 1, .reserve = Bytes{}});
  config_.consumers.push_back({.name = "train", .devices = {"gpu0", "gpu1"}, .footprint = kMiB * 300});
  {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    (*state)->devices[0].faults.foreign = 900ULL << 20;
  }
  curtain_up();
  ASSERT_TRUE(until([&] { return engine_->world().registry.readings[1].taken_at > Instant{}; }));
  const auto train = *engine_->find_consumer("train");
  Caller& caller = asks({.consumer = train}, {.who = "train.py", .pid = ::getpid()});
  ASSERT_TRUE(until([&] { return caller.holds(); }));
  EXPECT_EQ(caller.answer->value().device(), DeviceId{1});
  {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    const simgpu::ProcessIdentity self{.pid = ::getpid(),
                                       .start_time = gpu::read_process(::getpid())->start_time};
    ASSERT_EQ(simgpu::allocate((*state)->devices[1], self, 200ULL << 20), 0);
  }
  const auto& registry = engine_->world().registry;
  EXPECT_TRUE(until([&] { return registry[train].primary_usage.measured == kMiB * 200; }));
  EXPECT_EQ(registry.readings[1].foreign, Bytes{});
  const auto state = simgpu::LockedState::open(folder_ / "gpu");
  (*state)->devices[1].holders = {};
}

TEST_F(Stage, ALimitWithoutEndWakesNobody) {
  consumer("chat");
  curtain_up();
  Caller& holder = asks_for("chat");
  ASSERT_TRUE(until([&] { return holder.holds(); }));
  for (const Duration limit :
       {Duration::max(), Duration::max() / 2, Duration{99'999'999LL * 3'600'000'000}}) {
    const auto target = engine_->resolve("chat");
    asks({.consumer = target->consumer, .resident = target->resident, .wait_limit = limit, .deadline = limit},
         {});
  }
  ASSERT_TRUE(until([&] { return figures().queue_depth == 3; }));
  const auto before = told<Tick>().size();
  const auto later = engine_->now() + std::chrono::milliseconds(300);
  ASSERT_TRUE(until([&] { return engine_->now() > later; }));
  EXPECT_LE(told<Tick>().size(), before + 3);
  EXPECT_EQ(figures().queue_depth, 3U);
}

TEST_F(Stage, ADriverThatHangsKeepsNobodyFromTheEnd) {
  consumer("chat");
  curtain_up();
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  const auto hang = [&](std::uint32_t whether) {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    (*state)->devices[0].faults.hang = whether;
  };
  hang(1);
  ASSERT_TRUE(until([&] {
    const auto state = simgpu::LockedState::open(folder_ / "gpu");
    return (*state)->devices[0].hanging > 0;
  }));
  chat.answer.reset();
  const int pid = pid_of("chat");
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(until([&] { return drained; }));
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_FALSE(engine_->stop_sampling());
  hang(0);
  EXPECT_TRUE(until([&] { return engine_->stop_sampling(); })) << "it is over once the driver answers";
}

TEST_F(Stage, DrainLetsWorkEndRefusesTheRestAndStopsTheProcesses) {
  consumer("chat");
  curtain_up();
  Caller& running = asks_for("chat");
  ASSERT_TRUE(until([&] { return running.holds(); }));
  Caller& waiting = asks_for("chat");
  ASSERT_TRUE(until([&] { return figures().queue_depth == 1; }));
  const int pid = pid_of("chat");
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(until([&] { return waiting.answer.has_value(); }));
  EXPECT_TRUE(waiting.refused_with(ErrorCode::shutting_down));
  EXPECT_FALSE(drained);
  EXPECT_EQ(::kill(pid, 0), 0);
  running.answer.reset();
  ASSERT_TRUE(until([&] { return drained; }));
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(Stage, DrainEndsWorkThatPassesItsLimit) {
  consumer("chat");
  config_.limits.drain_limit = std::chrono::milliseconds(200);
  curtain_up();
  Caller& running = asks_for("chat");
  ASSERT_TRUE(until([&] { return running.holds(); }));
  bool drained = false;
  boost::asio::co_spawn(io_, engine_->drain(), [&](const std::exception_ptr&) { drained = true; });
  ASSERT_TRUE(until([&] { return drained; }));
  EXPECT_EQ(running.answer->value().end_error()->code, ErrorCode::shutting_down);
}

TEST_F(Stage, ABareLeaseHoldsBytesOfItsOwn) {
  consumer("chat");
  curtain_up();
  Caller& training = asks({.bytes = kMiB * 700}, {.who = "train.py", .pid = ::getpid()});
  ASSERT_TRUE(until([&] { return training.holds(); }));
  Caller& chat = asks_for("chat");
  ASSERT_TRUE(until([&] { return figures().queue_depth == 1; }));
  training.answer.reset();
  ASSERT_TRUE(until([&] { return chat.holds(); }));
  Caller& giant = asks({.bytes = kMiB * 2000}, {});
  ASSERT_TRUE(until([&] { return giant.answer.has_value(); }));
  EXPECT_TRUE(giant.refused_with(ErrorCode::never_fits));
}

TEST_F(Stage, NamesLeadToConsumers) {
  consumer("chat").aliases = {"gpt-4o-mini"};
  auto& many = consumer("many");
  many.service.type = config::ServiceType::ollama;
  many.ai_models = {{"llama3.2", kMiB * 300}};
  config_.consumers.push_back({.name = "train", .footprint = kMiB * 100});
  curtain_up();
  EXPECT_EQ(engine_->resolve("gpt-4o-mini")->consumer, engine_->resolve("chat")->consumer);
  EXPECT_EQ(engine_->resolve("llama3.2")->resident, engine_->resolve("many/llama3.2:latest")->resident);
  EXPECT_FALSE(engine_->resolve("train")->resident);
  const auto unknown = engine_->resolve("chta");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
  EXPECT_NE(unknown.error().detail.find("chat"), std::string::npos);
  EXPECT_EQ(engine_->find_device("gpu0"), DeviceId{0});
}

TEST_F(Stage, ADeviceThatIsNotThereIsAnInvalidConfig) {
  config_.devices = {{.id = "gpu7", .index = 7}};
  EXPECT_EQ(Engine::create(io_, config_, *provider_).error().code, ErrorCode::invalid_config);
}

}  // namespace
}  // namespace mgpu::engine
