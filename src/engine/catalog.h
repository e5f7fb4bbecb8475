// Keeps the names of AI models that files tell up to date: reads them before the first request, whenever they
// change, and when it is told that they may have changed. One thread for each reading, since a network folder
// may hang; a hanging one holds up nothing.
//
// Thread rule: the strand.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/live_config.h"
#include "engine/catalog_files.h"
#include "engine/core_loop.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"

namespace mgpu::engine {

class Catalog {
 public:
  // The parts that it uses; all must outlive it.
  struct Parts {
    boost::asio::io_context& io;
    CoreLoop& loop;
    TaskSpawner& tasks;
    TargetResolver& targets;
    const config::LiveConfig& config;
  };
  explicit Catalog(Parts parts);

  // Reads all files for the first time; waits for a second at most.
  boost::asio::awaitable<void> read_first();

  void start();  // reads them again at an interval, until close()
  void close();

  // Reads the consumer's files now; waits for a second at most. Does nothing for a consumer without any.
  boost::asio::awaitable<void> refresh(ConsumerId consumer);

 private:
  struct Entry {
    Entry(boost::asio::io_context& io, config::ConsumerConfig config);

    // Both are shared with the thread that reads, of which there is one at a time.
    const std::shared_ptr<CatalogFiles> files;
    const std::shared_ptr<std::atomic<bool>> is_reading = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<const std::vector<AiModelFacts>> known{};  // null: none yet. Shared with the same thread
    boost::asio::steady_timer pause;
  };
  boost::asio::awaitable<Result<void>> read(ConsumerId consumer);
  boost::asio::awaitable<void> run_loop(ConsumerId consumer);

  const Parts parts_;
  std::map<ConsumerId, std::unique_ptr<Entry>> entries_{};  // of consumers with files
  bool closed_ = false;
};

}  // namespace mgpu::engine
