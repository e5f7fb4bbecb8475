#include "gpu/drm.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <utility>

#include "gpu/drm_usage.h"
#include "gpu/small_file.h"

namespace mgpu::gpu {
namespace {

namespace fs = std::filesystem;
using SteadyTime = std::chrono::steady_clock::time_point;

// The greatest age of a usage scan while the used bytes of no device have changed since.
constexpr std::chrono::seconds kMaxUsageAge{5};
// If a driver does not report used bytes, each reading scans again; readings of several devices share one
// scan.
constexpr std::chrono::milliseconds kScanSharingWindow{20};

struct Card {
  std::string folder{};  // .../cardN/device
  std::string pdev{};    // "0000:03:00.0"
  std::string driver{};
  std::string pci_id{};  // "1002:744C"
  Bytes total{};
  bool apu = false;
  std::optional<std::uint64_t> kfd{};  // its id in kfd

  bool reports_used() const { return driver == "amdgpu"; }
};

std::optional<Bytes> read_file_bytes(const std::string& path) {
  const auto number = read_file_number(path);
  return number ? std::optional(Bytes{*number}) : std::nullopt;
}

std::vector<std::string> list_numbered_entries(const std::string& folder, const std::string& prefix) {
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

// The header of gpu_metrics: size (2 bytes), format, content. Dedicated devices have format 1, APUs 2 or 3.
// For drivers without this file kfd decides: its node of an APU also has processor cores.
bool is_apu(const std::string& sys, const Card& card) {
  const std::string metrics = read_file_text(card.folder + "/gpu_metrics");
  if (metrics.size() > 2) return metrics[2] == 2 || metrics[2] == 3;
  const std::string nodes = sys + "/class/kfd/kfd/topology/nodes/";
  return std::ranges::any_of(list_numbered_entries(nodes, ""), [&](const std::string& node) {
    if (!card.kfd || read_file_number(nodes + node + "/gpu_id") != static_cast<std::int64_t>(*card.kfd))
      return false;
    const std::string cores = read_file_value(nodes + node + "/properties", "cpu_cores_count");
    return !cores.empty() && cores != "0";
  });
}

// Intel: one file for each tile (at one of two paths), or one for the whole device.
Bytes intel_total(const std::string& folder) {
  Bytes tiles;
  for (const std::string& tile : list_numbered_entries(folder, "tile"))
    for (const char* file_name : {"/physical_vram_size_bytes", "/memory/physical_vram_size_bytes"})
      tiles +=
          read_file_bytes(std::string(folder).append("/").append(tile).append(file_name)).value_or(Bytes{});
  if (tiles > Bytes{}) return tiles;
  const auto whole = read_file_bytes(folder + "/lmem_total_bytes");
  return whole ? *whole : read_file_bytes(folder + "/../lmem_total_bytes").value_or(Bytes{});
}

Bytes amd_memory(const Card& card, const char* leaf) {
  const std::string info = card.folder + "/mem_info_";
  const Bytes own = read_file_bytes(info + "vram_" + leaf).value_or(Bytes{});
  return card.apu ? own + read_file_bytes(info + "gtt_" + leaf).value_or(Bytes{}) : own;
}

std::string card_name(const Card& card) {
  std::string name = read_file_text(card.folder + "/product_name");
  while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
  if (!name.empty()) return name;
  return std::string(card.driver == "amdgpu" ? "AMD" : "Intel") + (card.apu ? " APU " : " GPU ") +
         card.pci_id;
}

// ROCm's name for the device, if it has a unique id; else its PCI address.
std::string card_uuid(const Card& card) {
  std::string id = read_file_text(card.folder + "/unique_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id.empty() ? "PCI-" + card.pdev : "GPU-" + id;
}

class DrmProvider final : public Provider {
 public:
  explicit DrmProvider(DrmRoots roots) : roots_(std::move(roots)) {}

  Result<void> discover();
  const std::vector<DeviceInfo>& devices() const override { return devices_; }
  Result<RawReading> read(std::uint32_t index) override;
  Telemetry read_telemetry(std::uint32_t index) override;

 private:
  Card read_card(const std::string& name, const std::map<std::string, std::uint64_t>& kfd) const;
  const DrmUsage& current_usage();
  std::vector<ProcessUsage> process_usages(const Card& card, const DrmUsage& usage) const;

  DrmRoots roots_;
  std::vector<Card> cards_;  // by index
  std::vector<DeviceInfo> devices_;

  // The last scan, and the used bytes of all cards at that time.
  DrmUsage last_usage_;
  std::vector<Bytes> last_used_;
  SteadyTime last_scan_{};
};

Card DrmProvider::read_card(const std::string& name, const std::map<std::string, std::uint64_t>& kfd) const {
  Card card{.folder = roots_.sys + "/class/drm/" + name + "/device"};
  const std::string uevent = card.folder + "/uevent";
  card.driver = read_file_value(uevent, "DRIVER");
  card.pdev = read_file_value(uevent, "PCI_SLOT_NAME");
  card.pci_id = read_file_value(uevent, "PCI_ID");
  if (const auto known = kfd.find(card.pdev); known != kfd.end()) card.kfd = known->second;
  if (card.driver == "amdgpu") {
    card.apu = is_apu(roots_.sys, card);
    card.total = amd_memory(card, "total");
  } else if (card.driver == "xe" || card.driver == "i915") {
    card.total = intel_total(card.folder);
  }
  return card;
}

Result<void> DrmProvider::discover() {
  const std::string folder = roots_.sys + "/class/drm";
  const auto kfd = read_kfd_ids(roots_.sys);
  std::string others;
  for (const std::string& name : list_numbered_entries(folder, "card")) {
    Card card = read_card(name, kfd);
    if (card.total > Bytes{})
      cards_.push_back(std::move(card));
    else
      others += (others.empty() ? "" : ", ") + name + " (" + (card.driver.empty() ? "?" : card.driver) + ")";
  }
  if (cards_.empty())
    return fail(
        ErrorCode::unavailable,
        "no AMD or Intel device: " + folder + " has " +
            (others.empty() ? "no cards" : "no card whose driver reports its memory, only " + others));
  if (std::ranges::any_of(cards_, [](const Card& card) { return !card.apu; }))
    std::erase_if(cards_, [](const Card& card) { return card.apu; });
  std::ranges::sort(cards_, {}, &Card::pdev);
  for (const Card& card : cards_)
    devices_.push_back({.index = static_cast<std::uint32_t>(devices_.size()),
                        .name = card_name(card),
                        .uuid = card_uuid(card),
                        .total = card.total,
                        .host_memory = card.apu,
                        .vendor = card.driver == "amdgpu" ? Vendor::amd : Vendor::intel});
  return {};
}

const DrmUsage& DrmProvider::current_usage() {
  std::vector<Bytes> used;
  bool all_report_used = true;
  for (const Card& card : cards_) {
    used.push_back(card.reports_used() ? amd_memory(card, "used") : Bytes{});
    all_report_used = all_report_used && card.reports_used();
  }
  const auto now = std::chrono::steady_clock::now();
  const auto age = now - last_scan_;
  const bool is_fresh = all_report_used ? used == last_used_ && age < kMaxUsageAge : age < kScanSharingWindow;
  if (!is_fresh || last_scan_ == SteadyTime{}) {
    last_usage_ = read_drm_usage(roots_.proc);
    last_used_ = std::move(used);
    last_scan_ = now;
  }
  return last_usage_;
}

std::vector<ProcessUsage> DrmProvider::process_usages(const Card& card, const DrmUsage& usage) const {
  std::map<int, Bytes> bytes;
  if (const auto found = usage.by_device.find(card.pdev); found != usage.by_device.end())
    for (const auto& [pid, process_usage] : found->second)
      bytes[pid] = card.apu ? process_usage.device + process_usage.host : process_usage.device;
  if (card.kfd)
    for (const auto& [pid, held] : read_kfd_usage(roots_.sys, *card.kfd))
      bytes[pid] = std::max(bytes[pid], held);
  std::vector<ProcessUsage> processes;
  for (const auto& [pid, held] : bytes) processes.push_back({.pid = pid, .bytes = held});
  return processes;
}

Result<RawReading> DrmProvider::read(std::uint32_t index) {
  if (index >= cards_.size())
    return fail(ErrorCode::device_lost, "no drm device has the index " + std::to_string(index) +
                                            "; there are " + std::to_string(cards_.size()));
  const Card& card = cards_[index];
  if (!fs::exists(card.folder + "/uevent"))
    return fail(ErrorCode::device_lost,
                "the device at PCI address " + card.pdev + " is gone: " + card.folder + " does not exist");
  const DrmUsage& drm_usage = current_usage();
  RawReading reading{.total = card.total,
                     .processes = process_usages(card, drm_usage),
                     .unreadable_pids = drm_usage.unreadable_pids};
  if (card.reports_used()) {
    if (!read_file_bytes(card.folder + "/mem_info_vram_used"))
      return fail(ErrorCode::device_lost,
                  "the driver does not report the used memory of the device at PCI address " + card.pdev +
                      " (" + card.folder + "/mem_info_vram_used)");
    reading.used = amd_memory(card, "used");
  } else {
    for (const ProcessUsage& usage : reading.processes) reading.used += usage.bytes.value_or(Bytes{});
  }
  return reading;
}

Telemetry DrmProvider::read_telemetry(std::uint32_t index) {
  Telemetry telemetry;
  if (index >= cards_.size()) return telemetry;
  const std::string& folder = cards_[index].folder;
  // Reading some of these files would wake up a suspended device.
  if (read_file_text(folder + "/power/runtime_status").starts_with("suspended")) return telemetry;
  if (const auto busy = read_file_number(folder + "/gpu_busy_percent"))
    telemetry.utilisation_percent = static_cast<unsigned>(*busy);
  for (const std::string& hwmon : list_numbered_entries(folder + "/hwmon", "hwmon")) {
    const std::string sensors = std::string(folder).append("/hwmon/").append(hwmon);
    for (const char* leaf : {"/temp1_input", "/temp2_input"})
      if (const auto millidegrees = read_file_number(sensors + leaf);
          millidegrees && !telemetry.temperature_c)
        telemetry.temperature_c = static_cast<unsigned>(*millidegrees / 1000);
    for (const char* leaf : {"/power1_average", "/power1_input"})
      if (const auto microwatts = read_file_number(sensors + leaf); microwatts && !telemetry.power_w)
        telemetry.power_w = static_cast<double>(*microwatts) / 1e6;
  }
  return telemetry;
}

}  // namespace

Result<std::unique_ptr<Provider>> open_drm(DrmRoots roots) {
  auto provider = std::make_unique<DrmProvider>(std::move(roots));
  if (const auto found = provider->discover(); !found) return std::unexpected(found.error());
  return provider;
}

}  // namespace mgpu::gpu
