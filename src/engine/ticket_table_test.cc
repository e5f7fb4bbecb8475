#include "engine/ticket_table.h"

#include <optional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mgpu::engine {
namespace {

namespace asio = boost::asio;

struct TableFixture {
  asio::io_context io;
  std::vector<EventPayload> events;
  std::optional<DeviceId> chosen = DeviceId{0};
  std::optional<TicketTable> table{
      std::in_place, io.get_executor(), TicketNumbers([] { return store::Epoch{.number = 2}; }),
      TicketTable::Hooks{.dispatch = [this](EventPayload what) { events.push_back(what); },
                         .device_of = [this](TicketId) { return chosen; }}};
  std::optional<TicketId> ticket;
  std::optional<Result<Lease>> answer;
  asio::cancellation_signal cancel_signal;

  void ask(Holder holder = {}) {
    asio::co_spawn(io, wait(std::move(holder)),
                   asio::bind_cancellation_slot(cancel_signal.slot(), [](const std::exception_ptr&) {}));
    io.poll();
  }
  asio::awaitable<void> wait(Holder holder) {
    const TicketRequest request{.bytes = kGiB};
    const std::function<void(TicketId)> on_ticket = [this](TicketId number) { ticket = number; };
    auto result = co_await table->acquire(request, holder, on_ticket);
    answer.emplace(std::move(result));
  }
  void grant() {
    table->on_grant({.ticket = *ticket, .waited = Duration{5}});
    run();
  }
  void run() {
    io.restart();
    io.poll();
  }
  ErrorCode refusal() const { return (*answer).error().code; }

  template <class Entity>
  const Entity* last_event() const {
    return events.empty() ? nullptr : std::get_if<Entity>(&events.back());
  }
};

TEST(TicketTable, ATicketArrivesAtOnceAndIsALeaseOnceGranted) {
  TableFixture fixture;
  fixture.chosen = DeviceId{1};
  fixture.ask({.who = "a test"});
  ASSERT_NE(fixture.last_event<TicketArrived>(), nullptr);
  EXPECT_EQ(fixture.ticket, TicketId{2'000'000'001});
  EXPECT_EQ(fixture.last_event<TicketArrived>()->ticket, fixture.ticket);
  EXPECT_EQ(fixture.table->holder(*fixture.ticket)->who, "a test");
  EXPECT_FALSE(fixture.answer);
  fixture.grant();
  ASSERT_TRUE(fixture.answer && *fixture.answer);
  EXPECT_EQ((*fixture.answer)->device(), DeviceId{1});
  EXPECT_EQ((*fixture.answer)->waited(), Duration{5});
  fixture.answer.reset();
  EXPECT_NE(fixture.last_event<LeaseReleased>(), nullptr);
  EXPECT_EQ(fixture.table->holder(*fixture.ticket), nullptr);
}

TEST(TicketTable, ARefusalReachesTheCallerWithItsAdvice) {
  TableFixture fixture;
  fixture.ask();
  fixture.table->on_refuse(
      {.ticket = *fixture.ticket, .error = {ErrorCode::queue_full, "full"}, .retry_after = Duration{7}});
  fixture.run();
  ASSERT_TRUE(fixture.answer);
  EXPECT_EQ(fixture.refusal(), ErrorCode::queue_full);
  EXPECT_EQ((*fixture.answer).error().retry_after, Duration{7});
  EXPECT_EQ(fixture.events.size(), 1u) << "nothing is left to give back";
}

TEST(TicketTable, ACancelledWaitLeavesTheLine) {
  TableFixture fixture;
  fixture.ask();
  fixture.cancel_signal.emit(asio::cancellation_type::terminal);
  fixture.run();
  ASSERT_NE(fixture.last_event<TicketCancelled>(), nullptr);
  EXPECT_EQ(fixture.table->holder(*fixture.ticket), nullptr);
}

TEST(TicketTable, ACancellationThatCrossesAGrantGivesTheLeaseBack) {
  TableFixture fixture;
  fixture.ask();
  fixture.cancel_signal.emit(asio::cancellation_type::terminal);
  fixture.table->on_grant({.ticket = *fixture.ticket});
  fixture.run();
  ASSERT_NE(fixture.last_event<LeaseReleased>(), nullptr);
  EXPECT_FALSE(fixture.answer && *fixture.answer);
}

TEST(TicketTable, ALeaseThatTheCoreEndedTellsItsListenerOnceAndGivesNothingBack) {
  TableFixture fixture;
  fixture.ask();
  fixture.grant();
  int calls = 0;
  (*fixture.answer)->on_ended([&](const Error&) { ++calls; });
  fixture.table->on_end_lease({.ticket = *fixture.ticket, .error = {ErrorCode::service_down, "gone"}});
  EXPECT_EQ(calls, 0);
  fixture.run();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ((*fixture.answer)->end_error()->detail, "gone");
  fixture.answer.reset();
  EXPECT_EQ(fixture.events.size(), 1u);
}

TEST(TicketTable, ProcessesAreThoseOfHoldersThatNamedOne) {
  TableFixture fixture;
  fixture.ask({.who = "mgpu run", .pid = ::getpid()});
  ASSERT_EQ(fixture.table->processes().size(), 1u);
  EXPECT_EQ(fixture.table->processes()[0].pid, ::getpid());
  EXPECT_EQ(fixture.table->processes()[0].slurm_job, "") << "the daemon's own tells nothing";
}

TEST(TicketTable, OnceClosedWaitsAreRefusedAndLeasesAreHarmless) {
  TableFixture fixture;
  fixture.ask();
  fixture.grant();
  Result<Lease> held = std::move(*fixture.answer);
  fixture.answer.reset();
  fixture.ask();
  const std::size_t events = fixture.events.size();
  fixture.table.reset();
  fixture.run();
  ASSERT_TRUE(fixture.answer);
  EXPECT_EQ(fixture.refusal(), ErrorCode::shutting_down);
  held = fail(ErrorCode::internal, "");
  EXPECT_EQ(fixture.events.size(), events);
}

TEST(TicketTable, ALongDescriptionKeepsItsEnd) {
  TableFixture fixture;
  fixture.ask({.who = std::string(500, 'x') + " from 127.0.0.1:5123"});
  const std::string& who = fixture.table->holder(*fixture.ticket)->who;
  EXPECT_LE(who.size(), kMaxWhoLength);
  EXPECT_TRUE(who.ends_with(" from 127.0.0.1:5123"));
}

}  // namespace
}  // namespace mgpu::engine
