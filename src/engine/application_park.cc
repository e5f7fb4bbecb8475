// How an application is moved into host memory and back: by its service's own requests or, for any CUDA
// process, by cuda-checkpoint, as configured. The core only knows that it can be parked.
#include <utility>

#include "engine/application.h"

namespace mgpu::engine {

namespace asio = boost::asio;

void Application::enable_checkpoint_parking(runner::CudaCheckpoint& checkpoint,
                                            DevicePidsLookup find_device_pids) {
  checkpoint_ = &checkpoint;
  find_device_pids_ = std::move(find_device_pids);
}

asio::awaitable<Result<void>> Application::park(std::string ai_model, Duration limit) {
  const auto service = service_;
  if (checkpoint_ == nullptr) {
    if (!service) co_return fail(ErrorCode::not_supported, config_.name + " has no service that could park");
    co_return co_await service->park(ai_model, limit);
  }
  const std::vector<int> pids = co_await find_device_pids_();
  const std::uint64_t number = run_number_;
  const Result<void> done = co_await checkpoint_->park_processes(pids, limit);
  // Meanwhile the core may have stopped it, and a new run may have been started.
  if (done && number == run_number_ && (is_external() || is_running())) parked_pids_ = pids;
  co_return done;
}

// Its processes compute again when this returns. A process that died meanwhile or can't be restored is a
// failed load, after which load() stops what is left.
asio::awaitable<Result<void>> Application::resume_processes(Duration limit) {
  const std::vector<int> pids = std::exchange(parked_pids_, {});
  co_return co_await checkpoint_->resume_processes(pids, limit);
}

}  // namespace mgpu::engine
