#include "engine/catalog.h"

#include <functional>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/call_in_thread.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr Duration kInterval = std::chrono::seconds(2);
constexpr Duration kReadLimit = std::chrono::seconds(1);  // of the wait; the reading itself may last longer

using Changes = std::shared_ptr<const std::vector<AiModelFacts>>;  // null: none

}  // namespace

Catalog::Entry::Entry(asio::io_context& io, config::ConsumerConfig config)
    : files(std::make_shared<CatalogFiles>(std::move(config))), pause(io) {}

Catalog::Catalog(Parts parts) : parts_(parts) {
  for (std::size_t i = 0; i < parts_.config.consumer_count(); ++i) {
    const ConsumerId consumer{i};
    const config::ConsumerSnapshot config = parts_.config.consumer(consumer);
    if (has_catalog_files(*config)) entries_[consumer] = std::make_unique<Entry>(parts_.io, *config);
  }
}

asio::awaitable<void> Catalog::read_first() {
  const auto pending = std::make_shared<std::size_t>(entries_.size());  // outlives a wait that is cut short
  for (const auto& [consumer, entry] : entries_)
    parts_.tasks.spawn(read(consumer),
                       [this, pending](const Result<void>&) { --*pending, parts_.loop.wake_waiters(); });
  while (*pending > 0 && !parts_.loop.is_closed()) co_await parts_.loop.wait_for_change();
}

void Catalog::start() {
  for (const auto& [consumer, entry] : entries_) parts_.tasks.spawn(run_loop(consumer));
}

void Catalog::close() {
  closed_ = true;
  for (const auto& [consumer, entry] : entries_) entry->pause.cancel();
}

asio::awaitable<void> Catalog::run_loop(ConsumerId consumer) {
  Entry& entry = *entries_.at(consumer);
  while (!closed_) {
    entry.pause.expires_after(kInterval);
    co_await entry.pause.async_wait(asio::as_tuple(asio::use_awaitable));
    if (closed_) co_return;
    (void)co_await read(consumer);
  }
}

asio::awaitable<void> Catalog::refresh(ConsumerId consumer) {
  if (entries_.contains(consumer) && !closed_) (void)co_await read(consumer);
}

// While an earlier reading hangs or is in progress there is none; the next one finds what changed.
asio::awaitable<Result<void>> Catalog::read(ConsumerId consumer) {
  Entry& entry = *entries_.at(consumer);
  if (entry.is_reading->exchange(true)) co_return Result<void>{};
  const std::shared_ptr<void> reading(nullptr, [flag = entry.is_reading](void*) { *flag = false; });
  const std::function<Changes()> work = [reading, files = entry.files, known = entry.known]() -> Changes {
    std::vector<AiModelFacts> now = files->read();
    if (known && *known == now) return nullptr;
    return std::make_shared<const std::vector<AiModelFacts>>(std::move(now));
  };
  const Duration limit = kReadLimit;
  const std::optional<Changes> changes = co_await call_in_thread(work, limit);
  if (closed_ || !changes || !*changes) co_return Result<void>{};
  entry.known = *changes;
  parts_.targets.replace_catalog(consumer, *entry.known);
  co_return Result<void>{};
}

}  // namespace mgpu::engine
