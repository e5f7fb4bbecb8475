#include "engine/application_set.h"

#include <utility>

namespace mgpu::engine {

ApplicationSet::ApplicationSet(boost::asio::io_context& io, const config::LiveConfig& config,
                               StoreRecorder& recorder, std::string cuda_checkpoint, Hooks hooks)
    : checkpoint_(std::move(cuda_checkpoint)), hooks_(std::move(hooks)) {
  const std::size_t log_lines = config.snapshot()->limits.log_lines;
  for (std::size_t i = 0; i < config.consumer_count(); ++i) {
    const ConsumerId consumer{i};
    Entry entry{.config = config.consumer(consumer)};
    entry.application = std::make_unique<Application>(
        io, *entry.config, log_lines,
        [this, consumer](Error why) { hooks_.on_lost(consumer, std::move(why)); });
    wire(consumer, entry, recorder);
    entries_.push_back(std::move(entry));
  }
}

void ApplicationSet::wire(ConsumerId consumer, Entry& entry, StoreRecorder& recorder) {
  Application& application = *entry.application;
  application.keep_process_while([this, consumer] { return hooks_.is_in_use(consumer); });
  // A process that is recorded nowhere could not be found by the next start, and must die with the daemon.
  if (entry.config->process && !recorder.process_mark().empty())
    application.outlive_daemon(
        recorder.process_mark(), [this, consumer, &recorder](int pid, std::optional<std::uint16_t> port) {
          recorder.record_started(consumer, pid, port, hooks_.device_uuids(consumer).front());
        });
  application.restrict_devices([this, consumer] { return hooks_.bind_devices(consumer); });
  application.on_background([this, consumer](int pid) { hooks_.on_background(consumer, pid); });
  if (entry.config->park_method == config::ParkMethod::cuda_checkpoint)
    application.enable_checkpoint_parking(checkpoint_,
                                          [this, consumer] { return hooks_.read_device_pids(consumer); });
}

std::vector<runner::RunIdentity> ApplicationSet::runs() const {
  std::vector<runner::RunIdentity> runs;
  for (const Entry& entry : entries_) runs.push_back(entry.application->identity());
  return runs;
}

void ApplicationSet::close() {
  for (const Entry& entry : entries_) entry.application->close();
}

}  // namespace mgpu::engine
