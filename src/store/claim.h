// What a daemon holds of a store as long as it lives, so that no other takes itself for its heir: a lock on
// the file beside it, and marks that go with no file. Files can be deleted, renamed or copied under a running
// daemon; a mark is a file in memory that the daemon has open, found among the descriptors of all processes,
// and gone when the daemon is.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace mgpu::store {

// Given back by closing, also when we are killed.
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

// Where the store really is: no symbolic link is left in it. The file need not be there yet.
std::string real_path(const std::string& path);

// The process besides us that is alive and claims the store of this path (real_path): a daemon that works
// with it, or with a file of that name that is there no more. Only processes of our user and of root are
// believed.
std::optional<int> find_living_claimant(const std::string& path);

class Claim {
 public:
  // `path`: real_path. Errors: busy (another living process has the lock, or the same file under another
  // name), unavailable.
  static Result<Claim> acquire(const std::string& path);

  // Once the file is there: the same file under another name (a hard link, a renamed folder) is claimed too.
  void claim_file(const std::string& path);

 private:
  Descriptor lock_{}, path_mark_{}, file_mark_{};
};

}  // namespace mgpu::store
