// Calls into the file system that may hang in the kernel (a network folder whose server is gone) are made on
// a thread of their own; the strand waits for them only so long, and goes on without an answer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"

namespace mgpu::engine {

// Of these at most may hang at once, all keys together; while they do, nothing more is looked at.
inline constexpr std::size_t kMaxHangingCalls = 16;

class TimedCalls {
 public:
  // What `work` returns, or none: it takes longer than `limit_setting`, or an earlier call of this key hangs
  // still. `work` owns all that it touches, since it may outlive us.
  template <class T>
  std::optional<T> call(const std::string& key, Duration limit, std::function<T()> work) {
    auto result = std::make_shared<std::optional<T>>();
    const bool done = run(key, limit, [result, work = std::move(work)] { result->emplace(work()); });
    return done ? std::move(*result) : std::nullopt;
  }

 private:
  struct Call {
    std::mutex mutex{};
    std::condition_variable changed{};
    bool done = false;
  };
  bool run(const std::string& key, Duration limit, std::function<void()> work);

  std::map<std::string, std::shared_ptr<Call>> hanging_{};  // shared with their threads
};

}  // namespace mgpu::engine
