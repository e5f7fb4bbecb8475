#include "engine/residency_executor.h"

#include <string>
#include <utility>

namespace mgpu::engine {

void ResidencyExecutor::execute(const Load& load) {
  const Resident& resident = parts_.loop.world().registry[load.resident];
  const LoadSource source = parts_.weights.load_source(load);
  parts_.weights.cancel_read_ahead(load.resident);  // from here on the load itself reads the files
  std::string name = parts_.targets.choose_service_name(load.resident);
  parts_.tasks.spawn(
      parts_.applications[resident.consumer].load(std::move(name), load.from_parked),
      [this, id = load.resident, consumer = resident.consumer, source](Result<void> result) {
        parts_.devices.note_loaded(consumer);
        parts_.loop.dispatch(LoadEnded{.resident = id, .result = std::move(result), .source = source});
        parts_.on_ended(consumer);
      });
  if (!load.from_parked) parts_.tasks.spawn(parts_.weights.track_open_files(load.resident));
}

void ResidencyExecutor::execute(const Evict& evict) {
  const Resident& resident = parts_.loop.world().registry[evict.resident];
  std::string name = parts_.targets.choose_service_name(evict.resident);
  parts_.tasks.spawn(
      parts_.applications[resident.consumer].evict(evict.rung, std::move(name)),
      [this, id = evict.resident, consumer = resident.consumer, rung = evict.rung](Result<void> result) {
        parts_.loop.dispatch(RungEnded{.resident = id, .rung = rung, .result = std::move(result)});
        parts_.on_ended(consumer);
      });
}

}  // namespace mgpu::engine
