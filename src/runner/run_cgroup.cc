#include "runner/run_cgroup.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/run_mark.h"
#include "gpu/small_file.h"

namespace mgpu::runner {

namespace fs = std::filesystem;

namespace {

struct Mount {
  std::string root{};   // of the tree that is mounted: "/" unless it is a part of it
  std::string point{};  // where it is mounted
};

// A line is "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 cgroup2 rw".
std::optional<Mount> find_cgroup2_mount(const std::string& mountinfo) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" - cgroup2 ") == line.npos) continue;
    std::istringstream words(line);
    std::string id, parent, device;
    Mount mount;
    if (words >> id >> parent >> device >> mount.root >> mount.point) return mount;
  }
  return std::nullopt;
}

// The path of the unified hierarchy, whose line is "0::/path".
std::optional<std::string> unified_path(const std::string& cgroup) {
  std::istringstream lines(cgroup);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("0::/")) return line.substr(3);
  return std::nullopt;
}

// Where cgroups of runs are made. Empty: nowhere.
std::string base_folder() {
  if (const char* chosen = std::getenv("MGPU_CGROUP"); chosen != nullptr && *chosen != '\0')
    return std::string_view(chosen) == "off" ? "" : chosen;
  return cgroup_folder(gpu::read_file_text("/proc/self/mountinfo"), gpu::read_file_text("/proc/self/cgroup"));
}

bool write_text(const std::string& file, std::string_view text) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

// The folders of the tree, each before what is in it.
std::vector<fs::path> folders_below(const std::string& root) {
  std::vector<fs::path> folders{root};
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error))
    if (at->is_directory(error)) folders.push_back(at->path());
  return folders;
}

}  // namespace

std::string cgroup_folder(const std::string& mountinfo, const std::string& cgroup) {
  const auto mount = find_cgroup2_mount(mountinfo);
  auto path = unified_path(cgroup);
  if (!mount || !path) return "";
  if (mount->root != "/") {
    const bool is_inside = path->starts_with(mount->root) &&
                           (path->size() == mount->root.size() || (*path)[mount->root.size()] == '/');
    if (!is_inside) return "";
    path->erase(0, mount->root.size());
  }
  std::string folder = mount->point + *path;
  while (folder.ends_with('/')) folder.pop_back();
  return folder;
}

std::optional<RunCgroup> RunCgroup::create(const std::string& run_id) {
  const std::string base = base_folder();
  if (base.empty()) return std::nullopt;
  const RunCgroup made(fmt::format("{}/{}{}", base, gpu::kRunCgroupPrefix, run_id), run_id);
  if (::mkdir(made.folder_.c_str(), 0755) != 0) return std::nullopt;
  const int fd = made.open_to_enter();
  if (fd >= 0) {
    ::close(fd);
    return made;
  }
  made.remove();  // an ordinary folder, or one that may be made but not entered
  return std::nullopt;
}

std::optional<RunCgroup> RunCgroup::find(int pid) {
  const std::string cgroup = gpu::read_file_text(fmt::format("/proc/{}/cgroup", pid));
  const std::string id = gpu::run_id_of_cgroup(cgroup);
  std::string folder = cgroup_folder(gpu::read_file_text("/proc/self/mountinfo"), cgroup);
  if (id.empty() || folder.empty()) return std::nullopt;
  // The process may have gone on into a cgroup of its own below.
  const std::string name = fmt::format("/{}{}", gpu::kRunCgroupPrefix, id);
  const auto at = folder.rfind(name);
  if (at == folder.npos) return std::nullopt;
  folder.resize(at + name.size());
  return RunCgroup(std::move(folder), id);
}

std::vector<RunCgroup> RunCgroup::find_all() {
  std::vector<RunCgroup> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base_folder(), error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(gpu::kRunCgroupPrefix))
      all.push_back(RunCgroup(entry.path(), name.substr(gpu::kRunCgroupPrefix.size())));
  }
  return all;
}

int RunCgroup::open_to_enter() const {
  return ::open((folder_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
}

std::vector<int> RunCgroup::pids() const {
  std::vector<int> pids;
  for (const fs::path& folder : folders_below(folder_)) {
    std::istringstream lines(gpu::read_file_text(folder / "cgroup.procs"));
    for (int pid = 0; lines >> pid;)
      if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

bool RunCgroup::kill() const { return write_text(folder_ + "/cgroup.kill", "1"); }

void RunCgroup::remove() const {
  const std::vector<fs::path> folders = folders_below(folder_);
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder) ::rmdir(folder->c_str());
}

}  // namespace mgpu::runner
