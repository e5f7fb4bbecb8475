#include "runner/cuda_driver.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/sanitize.h"

namespace mgpu::runner {

namespace cuda = gpu::cuda;

namespace {

std::string state_name(std::uint32_t state) {
  switch (static_cast<cuda::ProcessState>(state)) {
    case cuda::ProcessState::running:
      return "running";
    case cuda::ProcessState::locked:
      return "locked";
    case cuda::ProcessState::checkpointed:
      return "checkpointed";
    case cuda::ProcessState::failed:
      return "failed";
    case cuda::ProcessState::checkpointing:
      return "checkpointing";
    case cuda::ProcessState::restoring:
      return "restoring";
  }
  return "state " + std::to_string(state);
}

}  // namespace

std::string cuda_library() {
  const char* path = std::getenv("MGPU_CUDA_LIBRARY");
  return path != nullptr && *path != '\0' ? path : cuda::kLibrary;
}

CudaDriver::CudaDriver(gpu::DynamicLibrary library)
    : library_(std::move(library)),
      init_(library_.find<Return(unsigned)>({"cuInit"})),
      error_string_(library_.find<Return(Return, const char**)>({"cuGetErrorString"})),
      get_state_(library_.find<Return(int, std::uint32_t*)>({"cuCheckpointProcessGetState"})),
      lock_(library_.find<Return(int, cuda::CheckpointLockArgs*)>({"cuCheckpointProcessLock"})),
      checkpoint_(library_.find<Return(int, Args*)>({"cuCheckpointProcessCheckpoint"})),
      restore_(library_.find<Return(int, Args*)>({"cuCheckpointProcessRestore"})),
      unlock_(library_.find<Return(int, Args*)>({"cuCheckpointProcessUnlock"})) {}

bool CudaDriver::is_complete() const {
  return init_ && get_state_ && lock_ && checkpoint_ && restore_ && unlock_;
}

Result<std::unique_ptr<CudaDriver>> CudaDriver::open(const std::string& library) {
  gpu::DynamicLibrary loaded(library);
  if (!loaded) {
    const char* why = dlerror();
    return fail(ErrorCode::not_supported, "can't load the CUDA driver's library \"" + library +
                                              "\": " + (why ? why : "no reason given"));
  }
  std::unique_ptr<CudaDriver> driver(new CudaDriver(std::move(loaded)));
  if (!driver->is_complete())
    return fail(ErrorCode::not_supported,
                "\"" + library + "\" has no checkpoint calls: they come with driver 570 and later");
  return driver;
}

std::string CudaDriver::describe_error(Return code) const {
  const char* text = nullptr;
  if (error_string_) error_string_(code, &text);
  return sanitize_text(text != nullptr ? text : "CUDA error") + " (CUDA code " + std::to_string(code) + ")";
}

Result<void> CudaDriver::check(Return code, std::string_view action, int pid) const {
  if (code == cuda::kSuccess) return {};
  return fail(ErrorCode::unavailable, "the CUDA driver can't " + std::string(action) + " process " +
                                          std::to_string(pid) + ": " + describe_error(code));
}

Result<void> CudaDriver::init() {
  const Return code = init_(0);
  if (code == cuda::kSuccess) return {};
  return fail(ErrorCode::unavailable, "the CUDA driver can't be initialized: " + describe_error(code));
}

Result<std::string> CudaDriver::query_state(int pid, Duration) {
  std::uint32_t state = 0;
  const Return code = get_state_(pid, &state);
  if (const auto done = check(code, "tell the state of", pid); !done) return std::unexpected(done.error());
  return state_name(state);
}

Result<void> CudaDriver::run_action(std::string_view action, int pid, Duration limit) {
  if (action == "lock") {
    const std::int64_t most_ms = UINT32_MAX;
    const std::int64_t limit_ms = std::clamp<std::int64_t>(limit.count() / 1000, 1, most_ms);
    cuda::CheckpointLockArgs args{.timeout_ms = static_cast<std::uint32_t>(limit_ms)};
    return check(lock_(pid, &args), action, pid);
  }
  Args args{};
  auto* const call = action == "checkpoint" ? checkpoint_ : action == "restore" ? restore_ : unlock_;
  return check(call(pid, &args), action, pid);
}

}  // namespace mgpu::runner
