#include "pagecache/open_files.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "pagecache/cached.h"

namespace mgpu::pagecache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostProcesses = 200;

bool is_weighty(const std::string& path) {
  struct stat facts{};
  return path.starts_with('/') && ::stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         facts.st_size >= kWeighty;
}

// "flags:\t0100002": the last digit's lowest bits are the access mode.
bool only_reads(const fs::path& fdinfo) {
  std::ifstream file(fdinfo);
  for (std::string name, value; file >> name >> value;)
    if (name == "flags:") return (value.back() - '0') % 4 == O_RDONLY;
  return false;
}

void add_open(const fs::path& process, std::set<std::string>& files) {
  std::error_code error;
  for (fs::directory_iterator fd(process / "fd", error), end; !error && fd != end; fd.increment(error)) {
    std::error_code gone;
    const std::string path = fs::read_symlink(fd->path(), gone);
    if (!gone && is_weighty(path) && only_reads(process / "fdinfo" / fd->path().filename()))
      files.insert(path);
  }
}

// address perms offset dev inode path
void add_mapped(const fs::path& process, std::set<std::string>& files) {
  std::ifstream maps(process / "maps");
  std::string last;
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::string path = line.substr(slash);
    if (path == last) continue;  // one file is mapped in several pieces, side by side
    last = path;
    if (is_weighty(path)) files.insert(std::move(path));
  }
}

std::vector<int> children_of(int pid) {
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

std::set<std::string> large_files_of(int pid) {
  std::set<std::string> files;
  std::vector<int> ahead{pid};
  for (std::size_t i = 0; i < ahead.size() && i < kMostProcesses; ++i) {
    const fs::path process = "/proc/" + std::to_string(ahead[i]);
    add_open(process, files);
    add_mapped(process, files);
    for (const int child : children_of(ahead[i])) ahead.push_back(child);
  }
  return files;
}

}  // namespace mgpu::pagecache
