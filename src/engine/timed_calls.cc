#include "engine/timed_calls.h"

#include <system_error>
#include <thread>

namespace mgpu::engine {

bool TimedCalls::run(const std::string& key, Duration limit, std::function<void()> work) {
  std::erase_if(hanging_, [](const auto& one) {
    const std::lock_guard lock(one.second->mutex);
    return one.second->done;
  });
  if (hanging_.contains(key) || hanging_.size() >= kMaxHangingCalls) return false;
  const auto call = std::make_shared<Call>();
  try {
    std::thread([call, work = std::move(work)] {
      work();
      const std::lock_guard lock(call->mutex);
      call->done = true;
      call->changed.notify_one();
    }).detach();
  } catch (const std::system_error&) {
    return false;  // no thread available: the call is not made
  }
  std::unique_lock lock(call->mutex);
  if (call->changed.wait_for(lock, limit, [&] { return call->done; })) return true;
  hanging_.emplace(key, call);
  return false;
}

}  // namespace mgpu::engine
