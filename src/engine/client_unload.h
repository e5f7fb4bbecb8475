// A client's request to unload a resident, which the scheduler carries out when the resident is idle.
//
// Thread rule: the strand.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "engine/clock.h"
#include "engine/core_loop.h"
#include "engine/engine.h"

namespace mgpu::engine {

// See Engine::unload. `deadline`: of the wait for running work. The references must outlive the coroutine.
boost::asio::awaitable<Result<bool>> unload_for_client(CoreLoop& loop, const Clock& clock, ResidentId id,
                                                       UnloadWait wait, Instant deadline);

}  // namespace mgpu::engine
