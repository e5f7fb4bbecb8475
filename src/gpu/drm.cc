#include "gpu/drm.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "gpu/drm_holders.h"
#include "gpu/small_file.h"

namespace mgpu::gpu {
namespace {

namespace fs = std::filesystem;
using SteadyTime = std::chrono::steady_clock::time_point;

// A walk through all processes is good for so long as no device's total changed.
constexpr std::chrono::seconds kTrustWalk{5};
// Where no total tells of a change, each reading walks; those of several devices share one.
constexpr std::chrono::milliseconds kSameMoment{20};

struct Card {
  std::string folder{};  // .../cardN/device
  std::string pdev{};    // "0000:03:00.0"
  std::string driver{};
  std::string pci_id{};  // "1002:744C"
  Bytes total{};
  bool apu = false;
  std::optional<std::uint64_t> kfd{};  // kfd's number for it

  bool tells_used() const { return driver == "amdgpu"; }
};

std::optional<Bytes> bytes_in(const std::string& path) {
  const auto number = number_in_file(path);
  return number ? std::optional(Bytes{*number}) : std::nullopt;
}

std::vector<std::string> entries_of(const std::string& folder, const std::string& prefix) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename();
    const std::string rest = name.starts_with(prefix) ? name.substr(prefix.size()) : "";
    if (!rest.empty() && rest.find_first_not_of("0123456789") == std::string::npos) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

// The header of gpu_metrics: size (2 bytes), format, content. Devices with memory of their own have format 1,
// APUs 2 and 3. Drivers that don't have the file are told apart by kfd, which calls an APU's graphics and
// processor one node.
bool is_apu(const std::string& sys, const Card& card) {
  const std::string metrics = text_of_file(card.folder + "/gpu_metrics");
  if (metrics.size() > 2) return metrics[2] == 2 || metrics[2] == 3;
  const std::string nodes = sys + "/class/kfd/kfd/topology/nodes/";
  return std::ranges::any_of(entries_of(nodes, ""), [&](const std::string& node) {
    if (!card.kfd || number_in_file(nodes + node + "/gpu_id") != static_cast<std::int64_t>(*card.kfd))
      return false;
    const std::string cores = value_in_file(nodes + node + "/properties", "cpu_cores_count");
    return !cores.empty() && cores != "0";
  });
}

// Intel: each tile has a file (two layouts), or the whole device.
Bytes intel_total(const std::string& folder) {
  Bytes tiles;
  for (const std::string& tile : entries_of(folder, "tile"))
    for (const char* place : {"/physical_vram_size_bytes", "/memory/physical_vram_size_bytes"})
      tiles += bytes_in(std::string(folder).append("/").append(tile).append(place)).value_or(Bytes{});
  if (tiles > Bytes{}) return tiles;
  const auto whole = bytes_in(folder + "/lmem_total_bytes");
  return whole ? *whole : bytes_in(folder + "/../lmem_total_bytes").value_or(Bytes{});
}

Bytes amd_sum(const Card& card, const char* leaf) {
  const std::string info = card.folder + "/mem_info_";
  const Bytes own = bytes_in(info + "vram_" + leaf).value_or(Bytes{});
  return card.apu ? own + bytes_in(info + "gtt_" + leaf).value_or(Bytes{}) : own;
}

std::string name_of(const Card& card) {
  std::string name = text_of_file(card.folder + "/product_name");
  while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
  if (!name.empty()) return name;
  return std::string(card.driver == "amdgpu" ? "AMD" : "Intel") + (card.apu ? " APU " : " GPU ") +
         card.pci_id;
}

// As ROCm names it, where the device has a number of its own.
std::string uuid_of(const Card& card) {
  std::string id = text_of_file(card.folder + "/unique_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id.empty() ? "PCI-" + card.pdev : "GPU-" + id;
}

class Drm final : public Provider {
 public:
  explicit Drm(DrmRoots roots) : roots_(std::move(roots)) {}

  Result<void> discover();
  const std::vector<DeviceInfo>& devices() const override { return devices_; }
  Result<RawReading> read(std::uint32_t index) override;
  Vitals vitals(std::uint32_t index) override;

 private:
  Card describe(const std::string& name, const std::map<std::string, std::uint64_t>& kfd) const;
  const DrmHolders& holders();
  std::vector<ProcessUse> processes_of(const Card& card, const DrmHolders& holders) const;

  DrmRoots roots_;
  std::vector<Card> cards_;  // by index
  std::vector<DeviceInfo> devices_;

  // The last walk, and what all totals were then.
  DrmHolders walked_;
  std::vector<Bytes> used_then_;
  SteadyTime walked_at_{};
};

Card Drm::describe(const std::string& name, const std::map<std::string, std::uint64_t>& kfd) const {
  Card card{.folder = roots_.sys + "/class/drm/" + name + "/device"};
  const std::string uevent = card.folder + "/uevent";
  card.driver = value_in_file(uevent, "DRIVER");
  card.pdev = value_in_file(uevent, "PCI_SLOT_NAME");
  card.pci_id = value_in_file(uevent, "PCI_ID");
  if (const auto known = kfd.find(card.pdev); known != kfd.end()) card.kfd = known->second;
  if (card.driver == "amdgpu") {
    card.apu = is_apu(roots_.sys, card);
    card.total = amd_sum(card, "total");
  } else if (card.driver == "xe" || card.driver == "i915") {
    card.total = intel_total(card.folder);
  }
  return card;
}

Result<void> Drm::discover() {
  const std::string folder = roots_.sys + "/class/drm";
  const auto kfd = read_kfd_devices(roots_.sys);
  std::string others;
  for (const std::string& name : entries_of(folder, "card")) {
    Card card = describe(name, kfd);
    if (card.total > Bytes{})
      cards_.push_back(std::move(card));
    else
      others += (others.empty() ? "" : ", ") + name + " (" + (card.driver.empty() ? "?" : card.driver) + ")";
  }
  if (cards_.empty())
    return fail(ErrorCode::unavailable,
                "no AMD or Intel device: " + folder + " has " +
                    (others.empty() ? "none" : "none that tells how much memory it has, only " + others));
  if (std::ranges::any_of(cards_, [](const Card& card) { return !card.apu; }))
    std::erase_if(cards_, [](const Card& card) { return card.apu; });
  std::ranges::sort(cards_, {}, &Card::pdev);
  for (const Card& card : cards_)
    devices_.push_back({.index = static_cast<std::uint32_t>(devices_.size()),
                        .name = name_of(card),
                        .uuid = uuid_of(card),
                        .total = card.total,
                        .host_memory = card.apu});
  return {};
}

const DrmHolders& Drm::holders() {
  std::vector<Bytes> used;
  bool all_tell = true;
  for (const Card& card : cards_) {
    used.push_back(card.tells_used() ? amd_sum(card, "used") : Bytes{});
    all_tell = all_tell && card.tells_used();
  }
  const auto now = std::chrono::steady_clock::now();
  const auto age = now - walked_at_;
  const bool good = all_tell ? used == used_then_ && age < kTrustWalk : age < kSameMoment;
  if (!good || walked_at_ == SteadyTime{}) {
    walked_ = read_drm_holders(roots_.proc);
    used_then_ = std::move(used);
    walked_at_ = now;
  }
  return walked_;
}

std::vector<ProcessUse> Drm::processes_of(const Card& card, const DrmHolders& holders) const {
  std::map<int, Bytes> bytes;
  if (const auto found = holders.by_device.find(card.pdev); found != holders.by_device.end())
    for (const auto& [pid, holding] : found->second)
      bytes[pid] = card.apu ? holding.device + holding.host : holding.device;
  if (card.kfd)
    for (const auto& [pid, held] : read_kfd_holders(roots_.sys, *card.kfd))
      bytes[pid] = std::max(bytes[pid], held);
  std::vector<ProcessUse> processes;
  for (const auto& [pid, held] : bytes) processes.push_back({.pid = pid, .bytes = held});
  return processes;
}

Result<RawReading> Drm::read(std::uint32_t index) {
  if (index >= cards_.size())
    return fail(ErrorCode::device_lost, "there is no device " + std::to_string(index));
  const Card& card = cards_[index];
  if (!fs::exists(card.folder + "/uevent"))
    return fail(ErrorCode::device_lost, "the device at " + card.pdev + " is gone");
  const DrmHolders& now = holders();
  RawReading reading{.total = card.total, .processes = processes_of(card, now), .unseen = now.unseen};
  if (card.tells_used()) {
    if (!bytes_in(card.folder + "/mem_info_vram_used"))
      return fail(ErrorCode::device_lost, "the driver does not answer for the device at " + card.pdev);
    reading.used = amd_sum(card, "used");
  } else {
    for (const ProcessUse& use : reading.processes) reading.used += use.bytes.value_or(Bytes{});
  }
  return reading;
}

Vitals Drm::vitals(std::uint32_t index) {
  Vitals vitals;
  if (index >= cards_.size()) return vitals;
  const std::string& folder = cards_[index].folder;
  // Some of these files would wake a device that sleeps.
  if (text_of_file(folder + "/power/runtime_status").starts_with("suspended")) return vitals;
  if (const auto busy = number_in_file(folder + "/gpu_busy_percent"))
    vitals.utilisation_percent = static_cast<unsigned>(*busy);
  for (const std::string& hwmon : entries_of(folder + "/hwmon", "hwmon")) {
    const std::string sensors = std::string(folder).append("/hwmon/").append(hwmon);
    for (const char* leaf : {"/temp1_input", "/temp2_input"})
      if (const auto millidegrees = number_in_file(sensors + leaf); millidegrees && !vitals.temperature_c)
        vitals.temperature_c = static_cast<unsigned>(*millidegrees / 1000);
    for (const char* leaf : {"/power1_average", "/power1_input"})
      if (const auto microwatts = number_in_file(sensors + leaf); microwatts && !vitals.power_w)
        vitals.power_w = static_cast<double>(*microwatts) / 1e6;
  }
  return vitals;
}

}  // namespace

Result<std::unique_ptr<Provider>> open_drm(DrmRoots roots) {
  auto provider = std::make_unique<Drm>(std::move(roots));
  if (const auto found = provider->discover(); !found) return std::unexpected(found.error());
  return provider;
}

}  // namespace mgpu::gpu
