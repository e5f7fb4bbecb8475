#include "gpu/several.h"

#include <algorithm>
#include <utility>

namespace mgpu::gpu {
namespace {

class Several final : public Provider {
 public:
  explicit Several(std::vector<std::unique_ptr<Provider>> providers) : providers_(std::move(providers)) {
    std::uint32_t first = 0;
    for (const auto& provider : providers_) {
      firsts_.push_back(first);
      std::uint32_t beyond = first;
      for (DeviceInfo info : provider->devices()) {
        info.index += first;
        beyond = std::max(beyond, info.index + 1);
        devices_.push_back(std::move(info));
      }
      first = beyond;
    }
  }

  const std::vector<DeviceInfo>& devices() const override { return devices_; }
  Result<RawReading> read(std::uint32_t index) override {
    const std::size_t whose = provider_of(index);
    return providers_[whose]->read(index - firsts_[whose]);
  }
  Vitals vitals(std::uint32_t index) override {
    const std::size_t whose = provider_of(index);
    return providers_[whose]->vitals(index - firsts_[whose]);
  }

 private:
  // The last one whose numbers begin at or before `index`; unknown numbers are for it to refuse.
  std::size_t provider_of(std::uint32_t index) const {
    const auto after = std::ranges::upper_bound(firsts_, index);
    return static_cast<std::size_t>(after - firsts_.begin()) - 1;
  }

  std::vector<std::unique_ptr<Provider>> providers_;
  std::vector<std::uint32_t> firsts_;  // the number that each provider's device 0 has in the list
  std::vector<DeviceInfo> devices_;
};

}  // namespace

std::unique_ptr<Provider> in_one_list(std::vector<std::unique_ptr<Provider>> providers) {
  if (providers.size() == 1) return std::move(providers.front());
  return std::make_unique<Several>(std::move(providers));
}

}  // namespace mgpu::gpu
