#include "engine/device_observer.h"

#include <atomic>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/setup.h"

namespace mgpu::engine {
namespace {

namespace asio = boost::asio;

// One device on which the test process holds 2 of the 3 GiB in use.
class FakeProvider : public gpu::Provider {
 public:
  const std::vector<gpu::DeviceInfo>& devices() const override { return devices_; }
  Result<gpu::RawReading> read(std::uint32_t) override {
    if (lost) return fail(ErrorCode::device_lost, "gone");
    return gpu::RawReading{
        .total = kGiB * 24, .used = kGiB * 3, .processes = {{.pid = ::getpid(), .bytes = kGiB * 2}}};
  }
  gpu::Telemetry read_telemetry(std::uint32_t) override { return {.temperature_c = 51}; }

  std::atomic<bool> lost = false;

 private:
  std::vector<gpu::DeviceInfo> devices_{{.total = kGiB * 24}};
};

struct ObserverFixture {
  asio::io_context io;
  Clock clock;
  Journal journal{100};
  FakeProvider provider;
  config::Config parsed = config::parse("consumers: {train: {footprint: 4GiB}}", "mgpu.yaml").config;
  Setup setup = *make_setup(parsed, provider.devices());
  config::LiveConfig config{parsed, setup.ids};
  CoreLoop loop{io, clock, setup.world, journal, {.execute = [](const Effect&) {}}};
  std::vector<TicketProcess> ticket_processes;
  std::optional<DeviceObserver> observer{
      std::in_place,
      io,
      clock,
      loop,
      provider,
      setup.devices,
      config,
      DeviceObserver::Sources{.runs = [] { return std::vector<runner::RunIdentity>(1); },
                              .ticket_processes = [this] { return ticket_processes; }}};

  const Reading& reading() const { return loop.world().registry.readings[0]; }
  void run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io.restart();
      io.run_one_for(std::chrono::milliseconds(20));
    }
    EXPECT_TRUE(condition());
  }
};

TEST(DeviceObserver, AReadingReachesTheCoreWithWhatIsForeign) {
  ObserverFixture fixture;
  fixture.observer->start();
  fixture.run_until([&] { return fixture.reading().taken_at > Instant{}; });
  EXPECT_EQ(fixture.reading().foreign, kGiB * 3);
  const DeviceObservation& seen = fixture.observer->observation(DeviceId{0});
  ASSERT_EQ(seen.foreign_processes.size(), 1u);
  EXPECT_EQ(seen.foreign_processes[0].pid, ::getpid());
  EXPECT_EQ(seen.telemetry->temperature_c, 51u);
}

TEST(DeviceObserver, FreshReadingsAreTakenForTheCallAndNameTheConsumersProcesses) {
  ObserverFixture fixture;
  fixture.ticket_processes = {
      {.ticket = TicketId{1}, .request = {.consumer = ConsumerId{0}}, .pid = ::getpid()}};
  fixture.observer->start();
  const Instant asked = fixture.clock.now();
  std::optional<std::vector<int>> pids;
  asio::co_spawn(fixture.io, fixture.observer->read_device_pids(ConsumerId{0}),
                 [&](const std::exception_ptr&, std::vector<int> found) { pids = std::move(found); });
  fixture.run_until([&] { return pids.has_value(); });
  EXPECT_EQ(*pids, std::vector{::getpid()});
  EXPECT_GE(fixture.reading().taken_at, asked);
  EXPECT_EQ(fixture.reading().foreign, kGiB);
}

TEST(DeviceObserver, ALostDeviceIsReported) {
  ObserverFixture fixture;
  fixture.provider.lost = true;
  fixture.observer->start();
  fixture.run_until([&] { return fixture.reading().lost; });
}

}  // namespace
}  // namespace mgpu::engine
