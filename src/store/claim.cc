#include "store/claim.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mgpu::store {
namespace {

constexpr int kMaxLinks = 40;  // like the kernel

// An FNV-1a hash, since all builds of mgpu must compute the same name, and a memfd's name is limited to 249
// bytes.
std::string mark_name(const std::string& key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), hash, 16).ptr;
  return "mgpu-store:" + std::string(digits.data(), end);
}

std::string path_key(const std::string& path) { return "path " + path; }

// Empty if the file does not exist.
std::string file_key(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return "";
  return "file " + std::to_string(facts.st_dev) + " " + std::to_string(facts.st_ino);
}

Descriptor make_mark(const std::string& key) {
  return Descriptor(::memfd_create(mark_name(key).c_str(), MFD_CLOEXEC));
}

bool has_open_link(const std::filesystem::path& process, const std::string& link) {
  std::error_code error;
  for (std::filesystem::directory_iterator fd(process / "fd", error), end; !error && fd != end;
       fd.increment(error)) {
    std::error_code closed_meanwhile;
    if (std::filesystem::read_symlink(fd->path(), closed_meanwhile) == link) return true;
  }
  return false;
}

// Other users (except root) could create a mark with any name to block the store.
bool is_trusted(const std::filesystem::path& process) {
  struct stat facts{};
  return ::stat(process.c_str(), &facts) == 0 && (facts.st_uid == ::geteuid() || facts.st_uid == 0);
}

std::optional<int> find_holder(const std::string& key) {
  const std::string link = "/memfd:" + mark_name(key) + " (deleted)";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    int pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc{} || end != name.data() + name.size() || pid == ::getpid()) continue;
    if (is_trusted(entry.path()) && has_open_link(entry.path(), link)) return pid;
  }
  return std::nullopt;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

std::string real_path(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path real = fs::absolute(path);
  // Resolved one by one, since the last link may point to a file that does not exist yet.
  for (int links = 0; links < kMaxLinks && fs::is_symlink(real, error); ++links)
    real = real.parent_path() / fs::read_symlink(real, error);
  const fs::path folder = fs::weakly_canonical(real.parent_path(), error);
  return error ? real.string() : (folder / real.filename()).string();
}

std::optional<int> find_living_claimant(const std::string& path) { return find_holder(path_key(path)); }

Result<Claim> Claim::acquire(const std::string& path) {
  const std::string file = path + ".lock";
  Claim claim;
  claim.lock_ = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (claim.lock_.get() < 0)
    return fail(ErrorCode::unavailable,
                "has a lock file that can't be opened (" + file + "): " + std::strerror(errno));
  if (::flock(claim.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::busy, "is in use by another mgpu: stop it, or set another file as store");
  if (const std::string same = file_key(path); !same.empty())
    if (const auto pid = find_holder(same))
      return fail(ErrorCode::busy, "is in use by another mgpu (process " + std::to_string(*pid) +
                                       ", under another name): stop it, or set another file as store");
  claim.path_mark_ = make_mark(path_key(path));
  return claim;
}

void Claim::claim_file(const std::string& path) {
  if (const std::string file = file_key(path); !file.empty()) file_mark_ = make_mark(file);
}

}  // namespace mgpu::store
