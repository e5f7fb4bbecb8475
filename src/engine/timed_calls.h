// Runs file system calls that may hang in the kernel (a network folder whose server does not respond) on
// their own threads; the strand waits for a limited time and continues without a result.
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

// Maximum number of hanging calls over all keys; while it is reached, no further calls are made.
inline constexpr std::size_t kMaxHangingCalls = 16;

class TimedCalls {
 public:
  // Returns the result of `work`; none if it takes longer than `limit`, or if an earlier call of this key
  // still hangs. `work` must own all that it accesses, since it may outlive this object.
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
