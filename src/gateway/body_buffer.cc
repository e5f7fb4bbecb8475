#include "gateway/body_buffer.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/assert.h"

namespace mgpu::gateway {
namespace {

std::string default_temp_folder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

std::unexpected<Error> file_error(const std::string& what) {
  return fail(ErrorCode::internal, "the request's body: " + what + ": " + std::strerror(errno));
}

// Other bodies occupy the room and will free it: a retry by the client helps.
std::unexpected<Error> buffer_full_error(const std::string& why) {
  constexpr std::chrono::seconds kRetryAfter{5};
  return std::unexpected(Error{.code = ErrorCode::queue_full,
                               .detail = "there is no room to keep the request's body until its turn: " + why,
                               .retry_after = kRetryAfter});
}

int open_temp_file(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  std::string name = folder + "/mgpu-body-XXXXXX";  // the file system has no O_TMPFILE
  fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(name.c_str());
  return fd;
}

}  // namespace

BodyBuffer::BodyBuffer(Bytes memory_limit, std::shared_ptr<BodyBudget> budget, std::string folder)
    : memory_limit_(static_cast<std::size_t>(memory_limit.count)),
      budget_(std::move(budget)),
      folder_(folder.empty() ? default_temp_folder() : std::move(folder)) {}

BodyBuffer::BodyBuffer(BodyBuffer&& other) noexcept
    : memory_limit_(other.memory_limit_),
      budget_(std::move(other.budget_)),
      folder_(std::move(other.folder_)),
      memory_(std::exchange(other.memory_, {})),
      fd_(std::exchange(other.fd_, -1)),
      disk_bytes_(std::exchange(other.disk_bytes_, 0)),
      size_(std::exchange(other.size_, 0)),
      edits_(std::move(other.edits_)),
      read_offset_(other.read_offset_),
      next_edit_(other.next_edit_),
      replacement_offset_(other.replacement_offset_) {}

BodyBuffer::~BodyBuffer() { clear(); }

void BodyBuffer::clear() {
  if (!budget_) return;  // moved from
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  budget_->memory_left += memory_.size();
  budget_->disk_left += std::exchange(disk_bytes_, 0);
  memory_ = std::string();
}

Result<void> BodyBuffer::append(std::string_view bytes) {
  std::size_t fits = fd_ >= 0 ? 0 : std::min(bytes.size(), memory_limit_ - memory_.size());
  fits = static_cast<std::size_t>(std::min<std::uint64_t>(fits, budget_->memory_left));
  budget_->memory_left -= fits;
  memory_ += bytes.substr(0, fits);
  size_ += fits;
  bytes.remove_prefix(fits);
  return bytes.empty() ? Result<void>{} : spill(bytes);
}

Result<void> BodyBuffer::spill(std::string_view bytes) {
  if (bytes.size() > budget_->disk_left) return buffer_full_error("limits.spool_total is reached");
  if (fd_ < 0) fd_ = open_temp_file(folder_);
  if (fd_ < 0) return file_error("no file in " + folder_);
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_ - memory_.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == ENOSPC || errno == EDQUOT)) return buffer_full_error(folder_ + " is full");
    if (written <= 0) return file_error("can't be written to " + folder_);
    size_ += static_cast<std::size_t>(written);
    disk_bytes_ += static_cast<std::size_t>(written);
    budget_->disk_left -= static_cast<std::size_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::uint64_t BodyBuffer::size() const {
  std::uint64_t total = size_;
  for (const Edit& edit : edits_) total += edit.replacement.size() - (edit.range.end - edit.range.begin);
  return total;
}

void BodyBuffer::replace(ByteRange range, std::string replacement) {
  MGPU_ASSERT(range.begin <= range.end && range.end <= size_, "what is replaced is there");
  MGPU_ASSERT(read_offset_ == 0 && next_edit_ == 0, "a body is edited before it is sent");
  const auto after =
      std::ranges::find_if(edits_, [&](const Edit& edit) { return edit.range.begin >= range.end; });
  MGPU_ASSERT(after == edits_.begin() || std::prev(after)->range.end <= range.begin,
              "the ranges that are replaced don't overlap");
  edits_.insert(after, {range, std::move(replacement)});
}

Result<std::string> BodyBuffer::read_next(std::size_t max_bytes) {
  for (; next_edit_ < edits_.size() && edits_[next_edit_].range.begin == read_offset_; ++next_edit_) {
    const Edit& edit = edits_[next_edit_];
    if (replacement_offset_ < edit.replacement.size()) {
      std::string piece = edit.replacement.substr(replacement_offset_, max_bytes);
      replacement_offset_ += piece.size();
      return piece;
    }
    read_offset_ = edit.range.end;
    replacement_offset_ = 0;
  }
  const std::uint64_t stop = next_edit_ < edits_.size() ? edits_[next_edit_].range.begin : size_;
  auto piece = read_at(read_offset_,
                       static_cast<std::size_t>(std::min<std::uint64_t>(max_bytes, stop - read_offset_)));
  if (piece) read_offset_ += piece->size();
  return piece;
}

Result<std::string> BodyBuffer::read_at(std::uint64_t from, std::size_t count) const {
  if (count == 0) return std::string{};
  if (from < memory_.size()) return memory_.substr(static_cast<std::size_t>(from), count);
  std::string piece(count, '\0');
  ssize_t got = 0;
  do {
    got = ::pread(fd_, piece.data(), count, static_cast<off_t>(from - memory_.size()));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return file_error("can't be read back from " + folder_);
  piece.resize(static_cast<std::size_t>(got));
  return piece;
}

}  // namespace mgpu::gateway
