// A running daemon's claim on its store. It keeps a second daemon from adopting or ending the processes that
// the first one recorded there. A claim is a lock on PATH.lock, and marks. The lock alone is not enough:
// files can be deleted, renamed or copied while the daemon runs. A mark is a memfd that the daemon has open;
// it is found among the descriptors of all processes, and disappears with the daemon.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace mgpu::store {

// A file descriptor; the destructor closes it.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

// The path with all symbolic links resolved. The file need not exist yet.
std::string real_path(const std::string& path);

// Another living process that claims the store at this real_path: a daemon that uses it, or one that uses a
// file of that name that was deleted or moved. Only processes of the same user and of root count.
std::optional<int> find_living_claimant(const std::string& path);

class Claim {
 public:
  // `path`: real_path. Errors: busy (another living process has the lock, or the same file under another
  // name), unavailable.
  static Result<Claim> acquire(const std::string& path);

  // Call it once the file exists: then the same file under another name (hard link, renamed folder) is
  // claimed too.
  void claim_file(const std::string& path);

 private:
  Descriptor lock_{}, path_mark_{}, file_mark_{};
};

}  // namespace mgpu::store
