#include "pagecache/open_files.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "pagecache/cached_fraction.h"

namespace mgpu::pagecache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxProcesses = 200;

bool is_large_file(const std::string& path) {
  struct stat facts{};
  return path.starts_with('/') && ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         facts.st_size >= kLargeFileBytes;
}

// "flags:\t0100002": octal; the two lowest bits are the access mode.
bool is_read_only(const fs::path& fdinfo) {
  std::ifstream file(fdinfo);
  for (std::string name, value; file >> name >> value;)
    if (name == "flags:") return (value.back() - '0') % 4 == O_RDONLY;
  return false;
}

void add_open_files(const fs::path& process, std::set<std::string>& files) {
  std::error_code error;
  for (fs::directory_iterator fd(process / "fd", error), end; !error && fd != end; fd.increment(error)) {
    std::error_code gone;
    const std::string path = fs::read_symlink(fd->path(), gone);
    if (!gone && is_large_file(path) && is_read_only(process / "fdinfo" / fd->path().filename()))
      files.insert(path);
  }
}

// address perms offset dev inode path
void add_mapped_files(const fs::path& process, std::set<std::string>& files) {
  std::ifstream maps(process / "maps");
  std::string last;
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::string path = line.substr(slash);
    if (path == last) continue;  // successive mappings of the same file
    last = path;
    if (is_large_file(path)) files.insert(std::move(path));
  }
}

std::vector<int> child_pids(int pid) {
  std::vector<int> children;
  std::error_code error;
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (fs::directory_iterator task(tasks, error), end; !error && task != end; task.increment(error)) {
    std::ifstream file(task->path() / "children");
    for (int child = 0; file >> child;) children.push_back(child);
  }
  return children;
}

}  // namespace

std::set<std::string> find_large_open_files(int pid) {
  std::set<std::string> files;
  std::vector<int> pids{pid};
  for (std::size_t i = 0; i < pids.size() && i < kMaxProcesses; ++i) {
    const fs::path process = "/proc/" + std::to_string(pids[i]);
    add_open_files(process, files);
    add_mapped_files(process, files);
    for (const int child : child_pids(pids[i])) pids.push_back(child);
  }
  return files;
}

}  // namespace mgpu::pagecache
