// An engine with waiting tickets and no GPU, for tests and benchmarks. Its device is never read, so nothing
// is granted, and the journal grows only by what the caller does.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "base/assert.h"
#include "engine/engine.h"
#include "gpu/provider.h"

namespace mgpu::api {

class UnreadDevice : public gpu::Provider {
 public:
  const std::vector<gpu::DeviceInfo>& devices() const override { return devices_; }
  Result<gpu::RawReading> read(std::uint32_t) override { return gpu::RawReading{.total = kGiB * 24}; }
  gpu::Telemetry read_telemetry(std::uint32_t) override { return {}; }

 private:
  std::vector<gpu::DeviceInfo> devices_{{.name = "unread", .uuid = "GPU-0", .total = kGiB * 24}};
};

class WaitingLine {
 public:
  explicit WaitingLine(std::size_t tickets) {
    config::Config config;
    config.limits.max_queue = 100'000;
    config.limits.events = 1'000'000;
    config.devices = {{.id = "gpu0"}};
    for (const char* name : {"chat", "image", "voice", "train", "render"})
      config.consumers.push_back({.name = name, .footprint = kGiB});
    auto created = engine::Engine::create(io_, config, device_);
    MGPU_ASSERT(created.has_value(), "the configuration is one that the engine accepts");
    engine_ = std::move(*created);
    for (std::size_t i = 0; i < tickets; ++i) add_ticket();
  }
  ~WaitingLine() {
    engine_.reset();  // refuses the tickets,
    io_.poll();       // whose coroutines end here
  }
  WaitingLine(const WaitingLine&) = delete;
  WaitingLine& operator=(const WaitingLine&) = delete;

  TicketId add_ticket() {
    const ConsumerId consumer{tickets_.size() % engine_->world().registry.consumers.size()};
    boost::asio::co_spawn(io_, wait_for_lease({.consumer = consumer}), boost::asio::detached);
    io_.restart();
    io_.poll();
    return tickets_.back();
  }

  // The one that came as the `n`-th, from 1.
  TicketId ticket(std::size_t n) const { return tickets_.at(n - 1); }

  engine::Engine& engine() { return *engine_; }

 private:
  boost::asio::awaitable<void> wait_for_lease(TicketRequest ask) {
    engine::Holder holder{.who = "POST /v1/chat/completions from 127.0.0.1:5123"};
    std::function<void(TicketId)> on_ticket = [this](TicketId ticket) { tickets_.push_back(ticket); };
    const auto lease = co_await engine_->acquire(ask, std::move(holder), std::move(on_ticket));
    MGPU_ASSERT(!lease, "nothing is granted without a reading");
  }

  boost::asio::io_context io_;
  UnreadDevice device_;
  std::unique_ptr<engine::Engine> engine_;
  std::vector<TicketId> tickets_{};
};

}  // namespace mgpu::api
