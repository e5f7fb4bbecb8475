#include "gateway/early_body.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/assert.h"

namespace mgpu::gateway {
namespace {

std::string default_folder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

std::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorCode::internal, "the request's body: " + what + ": " + std::strerror(errno));
}

// Others' bodies are in the way, and go: asking again helps.
std::unexpected<Error> no_room(const std::string& why) {
  constexpr std::chrono::seconds kAgain{5};
  return std::unexpected(Error{.code = ErrorCode::queue_full,
                               .detail = "there is no room to keep the request's body until its turn: " + why,
                               .retry_after = kAgain});
}

int unnamed_file(const std::string& folder) {
  int file = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0) return file;
  std::string name = folder + "/mgpu-body-XXXXXX";  // a file system without O_TMPFILE
  file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file >= 0) ::unlink(name.c_str());
  return file;
}

}  // namespace

EarlyBody::EarlyBody(Bytes in_memory, std::shared_ptr<BodyBudget> budget, std::string folder)
    : in_memory_(static_cast<std::size_t>(in_memory.count)),
      budget_(std::move(budget)),
      folder_(folder.empty() ? default_folder() : std::move(folder)) {}

EarlyBody::EarlyBody(EarlyBody&& other) noexcept
    : in_memory_(other.in_memory_),
      budget_(std::move(other.budget_)),
      folder_(std::move(other.folder_)),
      memory_(std::exchange(other.memory_, {})),
      file_(std::exchange(other.file_, -1)),
      on_disk_(std::exchange(other.on_disk_, 0)),
      size_(std::exchange(other.size_, 0)),
      edited_(std::exchange(other.edited_, {})),
      text_(std::move(other.text_)),
      taken_(other.taken_),
      text_taken_(other.text_taken_) {}

EarlyBody::~EarlyBody() { clear(); }

void EarlyBody::clear() {
  if (!budget_) return;  // moved from
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  budget_->memory_left += memory_.size();
  budget_->disk_left += std::exchange(on_disk_, 0);
  memory_ = std::string();
}

Result<void> EarlyBody::append(std::string_view bytes) {
  std::size_t fits = file_ >= 0 ? 0 : std::min(bytes.size(), in_memory_ - memory_.size());
  fits = static_cast<std::size_t>(std::min<std::uint64_t>(fits, budget_->memory_left));
  budget_->memory_left -= fits;
  memory_ += bytes.substr(0, fits);
  size_ += fits;
  bytes.remove_prefix(fits);
  return bytes.empty() ? Result<void>{} : spill(bytes);
}

Result<void> EarlyBody::spill(std::string_view bytes) {
  if (bytes.size() > budget_->disk_left) return no_room("limits.spool_total is reached");
  if (file_ < 0) file_ = unnamed_file(folder_);
  if (file_ < 0) return failed("no file in " + folder_);
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(size_ - memory_.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == ENOSPC || errno == EDQUOT)) return no_room(folder_ + " is full");
    if (written <= 0) return failed("can't be written to " + folder_);
    size_ += static_cast<std::size_t>(written);
    on_disk_ += static_cast<std::size_t>(written);
    budget_->disk_left -= static_cast<std::size_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

void EarlyBody::replace(Span where, std::string text) {
  MGPU_ASSERT(where.begin < where.end && where.end <= size_, "what is replaced is there");
  MGPU_ASSERT(taken_ == 0 && edited_ == Span{}, "a body is edited once, before it is sent");
  edited_ = where;
  text_ = std::move(text);
}

Result<std::string> EarlyBody::take(std::size_t at_most) {
  bool edits = edited_.end > edited_.begin;
  if (edits && taken_ == edited_.begin) {
    std::string piece = text_.substr(text_taken_, at_most);
    text_taken_ += piece.size();
    if (text_taken_ == text_.size()) taken_ = edited_.end;
    if (!piece.empty()) return piece;
  }
  std::uint64_t stop = edits && taken_ < edited_.begin ? edited_.begin : size_;
  auto piece = read(taken_, static_cast<std::size_t>(std::min<std::uint64_t>(at_most, stop - taken_)));
  if (piece) taken_ += piece->size();
  return piece;
}

Result<std::string> EarlyBody::read(std::uint64_t from, std::size_t count) const {
  if (count == 0) return std::string{};
  if (from < memory_.size()) return memory_.substr(static_cast<std::size_t>(from), count);
  std::string piece(count, '\0');
  ssize_t got = 0;
  do {
    got = ::pread(file_, piece.data(), count, static_cast<off_t>(from - memory_.size()));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return failed("can't be read back from " + folder_);
  piece.resize(static_cast<std::size_t>(got));
  return piece;
}

}  // namespace mgpu::gateway
