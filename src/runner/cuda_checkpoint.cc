#include "runner/cuda_checkpoint.h"

#include <algorithm>

#include "base/sanitize.h"
#include "runner/checkpoint_helper.h"
#include "runner/command.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kProbeLimit{10'000'000};
constexpr Duration kUndoLimit{
    10'000'000};  // after a killed helper: attaching to the devices alone takes seconds
constexpr Duration kHelperGrace{500'000};  // beyond the limit that the helper keeps by itself

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return sanitize_text(text);
}

std::unexpected<Error> with_code(ErrorCode code, const Error& error) { return fail(code, error.detail); }

}  // namespace

Result<void> find_driver_checkpoint() {
  const auto ran = run_command_blocking({"/proc/self/exe", kCheckpointCommand, "probe"}, kProbeLimit);
  if (!ran) return with_code(ErrorCode::not_supported, ran.error());
  if (ran->exit_code == 0) return {};
  return fail(ErrorCode::not_supported, first_line(ran->output));
}

asio::awaitable<Result<void>> CudaCheckpoint::run_helper(std::string_view command, std::vector<int> pids,
                                                         Duration limit, bool& was_killed) {
  std::vector<std::string> words{program_, kCheckpointCommand, std::string(command),
                                 std::to_string(std::max<std::int64_t>(limit.count() / 1000, 1))};
  if (!utility_.empty()) words.insert(words.end(), {"--utility", utility_});
  for (const int pid : pids) words.push_back(std::to_string(pid));
  const Duration kill_after = limit + kHelperGrace;
  const auto ran = co_await run_command(std::move(words), kill_after);
  was_killed = !ran;
  if (!ran)
    co_return fail(ErrorCode::unavailable,
                   "the CUDA driver did not " + std::string(command) + " it within " + to_string(limit));
  if (ran->exit_code == 0) co_return Result<void>{};
  std::string why = first_line(ran->output);
  if (why.empty()) why = "it ended with exit code " + std::to_string(ran->exit_code);
  co_return fail(ErrorCode::unavailable, why);
}

asio::awaitable<Result<void>> CudaCheckpoint::park_processes(std::vector<int> pids, Duration limit) {
  if (pids.empty())
    co_return fail(ErrorCode::eviction_failed,
                   "nothing to park: the driver lists no process of it with device memory");
  bool was_killed = false;
  const auto done = co_await run_helper("park", pids, limit, was_killed);
  if (done) co_return done;
  bool undo_was_killed = false;
  const Duration undo_limit = kUndoLimit;
  if (was_killed) co_await run_helper("undo", pids, undo_limit, undo_was_killed);
  co_return with_code(ErrorCode::eviction_failed, done.error());
}

asio::awaitable<Result<void>> CudaCheckpoint::resume_processes(std::vector<int> pids, Duration limit) {
  bool was_killed = false;
  const auto done = co_await run_helper("resume", pids, limit, was_killed);
  if (!done) co_return with_code(ErrorCode::load_failed, done.error());
  co_return done;
}

}  // namespace mgpu::runner
