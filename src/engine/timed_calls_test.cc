#include "engine/timed_calls.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

using namespace std::chrono_literals;

// A call that hangs until it is released.
struct HangingCall {
  std::shared_ptr<std::atomic<bool>> released = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<int>> ended = std::make_shared<std::atomic<int>>(0);
  std::function<int()> work() const {
    return [let_go = released, ended = ended] {
      while (!*let_go) std::this_thread::sleep_for(1ms);
      ++*ended;
      return 1;
    };
  }
  void release(int count) const {
    *released = true;
    while (*ended < count) std::this_thread::sleep_for(1ms);
  }
};

TEST(TimedCalls, GiveWhatTheCallGives) {
  TimedCalls calls;
  EXPECT_EQ(calls.call<int>("a", 10s, [] { return 7; }), 7);
}

TEST(TimedCalls, AreGivenUpAfterTheLimitAndNotTriedAgainWhileTheyHang) {
  const HangingCall hanging;
  TimedCalls calls;
  EXPECT_EQ(calls.call<int>("a", 20ms, hanging.work()), std::nullopt);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(calls.call<int>("a", 10s, [] { return 7; }), std::nullopt);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "nobody waits for one that is known to hang";
  EXPECT_EQ(calls.call<int>("b", 10s, [] { return 7; }), 7) << "others are no worse off";
  hanging.release(1);
  const auto until = std::chrono::steady_clock::now() + 10s;
  std::optional<int> again;
  while (!again && std::chrono::steady_clock::now() < until)
    again = calls.call<int>("a", 1s, [] { return 8; });
  EXPECT_EQ(again, 8) << "it answers again";
}

TEST(TimedCalls, HangInANumberThatIsBounded) {
  const HangingCall hanging;
  TimedCalls calls;
  const int most = static_cast<int>(kMaxHangingCalls);
  for (int i = 0; i < most; ++i) calls.call<int>(std::to_string(i), 1ms, hanging.work());
  bool begun = false;
  EXPECT_EQ(calls.call<int>("another", 1s, [&] { return begun = true, 7; }), std::nullopt);
  EXPECT_FALSE(begun);
  hanging.release(most);
}

}  // namespace
}  // namespace mgpu::engine
