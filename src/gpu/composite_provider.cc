#include "gpu/composite_provider.h"

#include <algorithm>
#include <utility>

namespace mgpu::gpu {
namespace {

class CompositeProvider final : public Provider {
 public:
  explicit CompositeProvider(std::vector<std::unique_ptr<Provider>> providers)
      : providers_(std::move(providers)) {
    std::uint32_t first = 0;
    for (const auto& provider : providers_) {
      first_indices_.push_back(first);
      std::uint32_t next = first;
      for (DeviceInfo info : provider->devices()) {
        info.index += first;
        next = std::max(next, info.index + 1);
        devices_.push_back(std::move(info));
      }
      first = next;
    }
  }

  const std::vector<DeviceInfo>& devices() const override { return devices_; }
  Result<RawReading> read(std::uint32_t index) override {
    const std::size_t position = provider_position(index);
    return providers_[position]->read(index - first_indices_[position]);
  }
  Telemetry read_telemetry(std::uint32_t index) override {
    const std::size_t position = provider_position(index);
    return providers_[position]->read_telemetry(index - first_indices_[position]);
  }

 private:
  // The last provider whose indices begin at or before `index`. It rejects an index that does not exist.
  std::size_t provider_position(std::uint32_t index) const {
    const auto after = std::ranges::upper_bound(first_indices_, index);
    return static_cast<std::size_t>(after - first_indices_.begin()) - 1;
  }

  std::vector<std::unique_ptr<Provider>> providers_;
  std::vector<std::uint32_t> first_indices_;  // combined index of each provider's device 0
  std::vector<DeviceInfo> devices_;
};

}  // namespace

std::unique_ptr<Provider> combine_providers(std::vector<std::unique_ptr<Provider>> providers) {
  if (providers.size() == 1) return std::move(providers.front());
  return std::make_unique<CompositeProvider>(std::move(providers));
}

}  // namespace mgpu::gpu
