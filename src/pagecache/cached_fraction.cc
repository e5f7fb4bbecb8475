#include "pagecache/cached_fraction.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mgpu::pagecache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 1000;     // in one folder
constexpr std::size_t kPagesPerFile = 128;  // number of sampled pages

class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat facts{};
    if (fd_ < 0 || ::fstat(fd_, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
    size_ = static_cast<std::size_t>(facts.st_size);
    // For a file that this process may not write, mincore() reports every page as resident.
    measurable_ = facts.st_uid == ::geteuid() || ::geteuid() == 0 || ::access(path.c_str(), W_OK) == 0;
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  bool is_measurable() const { return measurable_ && size_ > 0; }
  std::size_t size() const { return size_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::size_t size_ = 0;
  bool measurable_ = false;
};

// The fraction of resident pages in a sample. Mapping a file does not read it.
std::optional<double> cached_fraction(const File& file) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* mapped = ::mmap(nullptr, file.size(), PROT_READ, MAP_SHARED, file.fd(), 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  const std::size_t pages = (file.size() + page - 1) / page;
  const std::size_t samples = std::min(pages, kPagesPerFile);
  std::size_t resident = 0, sampled = 0;
  for (std::size_t i = 0; i < samples; ++i) {
    unsigned char state = 0;
    const std::size_t at = pages * i / samples * page;
    if (::mincore(static_cast<char*>(mapped) + at, page, &state) != 0) continue;
    ++sampled;
    resident += state & 1U;
  }
  ::munmap(mapped, file.size());
  if (sampled == 0) return std::nullopt;
  return static_cast<double>(resident) / static_cast<double>(sampled);
}

using SizedFile = std::pair<std::uintmax_t, std::string>;

void add_large_files(const std::string& folder, std::vector<SizedFile>& found) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator() && found.size() < kMaxFiles;
       entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;
    const std::uintmax_t size = entry->file_size(ignored);
    if (!ignored && size >= static_cast<std::uintmax_t>(kLargeFileBytes))
      found.emplace_back(size, entry->path());
  }
}

}  // namespace

std::vector<std::string> list_weight_files(std::span<const std::string> paths) {
  std::vector<SizedFile> found;
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      add_large_files(path, found);
    } else if (fs::is_regular_file(path, error)) {
      const std::uintmax_t size = fs::file_size(path, error);
      if (!error) found.emplace_back(size, path);
    }
  }
  std::ranges::stable_sort(found, std::greater{}, &SizedFile::first);
  std::vector<std::string> files;
  for (auto& [size, path] : found) files.push_back(std::move(path));
  return files;
}

std::optional<double> cached_fraction(std::span<const std::string> files) {
  double cached = 0, total = 0;
  for (const std::string& path : files) {
    const File file(path);
    if (!file.is_measurable()) continue;
    const std::optional<double> part = cached_fraction(file);
    if (!part) continue;
    const auto size = static_cast<double>(file.size());
    total += size;
    cached += *part * size;
  }
  if (total == 0) return std::nullopt;
  return cached / total;
}

}  // namespace mgpu::pagecache
