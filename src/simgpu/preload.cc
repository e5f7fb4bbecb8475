// libmgpu-simgpu-preload.so, for LD_PRELOAD: a program that computes on the CPU holds bytes of the simulated
// GPU as long as it has large blocks of memory: its weights, read or mapped, its KV cache, its compute
// buffers. So the real life of a real application's memory (its children, its lateness, its leaks) is there
// for the daemon to see.
//
// Counted are blocks from malloc and its relatives, and mapped files, of at least kMinBlock. A block for
// which the device has no room is refused with ENOMEM, which an application takes as it takes CUDA's refusal.
// Not counted: smaller blocks, anonymous mappings (the heaps of Go and Python), threads' stacks, shared
// libraries, since those would not be on a GPU either.
//
// The device is the first of CUDA_VISIBLE_DEVICES (an index, or a UUID), else device 0; a value that names
// none hides the GPU, and nothing is counted. Without MGPU_SIMGPU the library does nothing.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <string_view>

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mgpu/simgpu.h"
#include "simgpu/block_table.h"
#include "simgpu/state_file.h"

#define MGPU_INTERPOSED extern "C" __attribute__((visibility("default")))

// glibc's own functions under the names that it keeps for this purpose.
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void __libc_free(void* block);
}

namespace {

using mgpu::simgpu::BlockTable;

constexpr std::size_t kMinBlock = 1U << 20U;

std::mutex mutex;  // of `blocks`
BlockTable blocks;

// Set while this library itself runs on the thread: what it allocates is not counted.
thread_local bool inside [[gnu::tls_model("initial-exec")]] = false;

std::uintptr_t address_of(const void* block) { return reinterpret_cast<std::uintptr_t>(block); }

std::optional<unsigned> find_device(std::string_view name) {
  const auto state = mgpu::simgpu::LockedState::open(mgpu::simgpu::path_from_environment());
  if (!state) return std::nullopt;
  unsigned number = 0;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
  if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size())
    return state->device(number) ? std::optional(number) : std::nullopt;
  for (unsigned index = 0; const mgpu::simgpu::Device* device = state->device(index); ++index)
    if (!name.empty() && std::string_view(device->uuid.data()).starts_with(name)) return index;
  return std::nullopt;
}

// Read at the first large block, as CUDA does at its start: a change of the environment comes too late.
std::optional<unsigned> device() {
  static const std::optional<unsigned> found = [] {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    const std::string_view names = visible ? visible : "0";
    return find_device(names.substr(0, names.find(',')));
  }();
  return found;
}

class Inside {
 public:
  Inside() { inside = true; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { inside = false; }
};

// Takes `bytes` of the device. false: it has no room, or it is lost.
bool take(std::size_t bytes) { return mgpu_simgpu_alloc(*device(), bytes) == MGPU_SIMGPU_OK; }

void give_back(std::size_t bytes) {
  if (bytes > 0) mgpu_simgpu_free(*device(), bytes);
}

// Whether a block of this size belongs on the device. A program without the simulated GPU never gets further.
bool is_counted(std::size_t bytes) {
  if (bytes < kMinBlock || inside || !std::getenv("MGPU_SIMGPU")) return false;
  const Inside guard;
  return device().has_value();
}

// Makes a block with `allocate` and holds its bytes; null with errno ENOMEM if either has no room.
template <class Allocate>
void* allocate_counted(std::size_t bytes, Allocate allocate) {
  if (!is_counted(bytes)) return allocate();
  const Inside guard;
  if (!take(bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  void* block = allocate();
  const int error = errno;
  const std::lock_guard lock(mutex);
  if (!block || !blocks.add(address_of(block), bytes)) give_back(bytes);
  errno = error;
  return block;
}

// Gives back the bytes of a block that is about to be freed.
void forget_block(const void* block) {
  if (inside || !block || malloc_usable_size(const_cast<void*>(block)) < kMinBlock) return;
  const Inside guard;
  const std::lock_guard lock(mutex);
  give_back(blocks.remove(address_of(block)));
}

bool is_regular_file(int fd) {
  struct stat status{};
  return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// The bytes of a parent's blocks are the parent's. The lock is held over fork(), so that the child finds it
// free.
__attribute__((constructor)) void watch_forks() {
  pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); },
                 [] {
                   blocks.clear();
                   mutex.unlock();
                 });
}

}  // namespace

MGPU_INTERPOSED void* malloc(std::size_t bytes) {
  return allocate_counted(bytes, [&] { return __libc_malloc(bytes); });
}

MGPU_INTERPOSED void* calloc(std::size_t count, std::size_t bytes) {
  std::size_t product = 0;
  const bool overflow = __builtin_mul_overflow(count, bytes, &product);
  return allocate_counted(overflow ? 0 : product, [&] { return __libc_calloc(count, bytes); });
}

MGPU_INTERPOSED void* memalign(std::size_t alignment, std::size_t bytes) {
  return allocate_counted(bytes, [&] { return __libc_memalign(alignment, bytes); });
}

MGPU_INTERPOSED void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return memalign(alignment, bytes);
}

MGPU_INTERPOSED int posix_memalign(void** into, std::size_t alignment, std::size_t bytes) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  const int before = errno;
  void* block = memalign(alignment, bytes);
  errno = before;  // the function returns its error and leaves errno alone
  if (!block) return ENOMEM;
  *into = block;
  return 0;
}

MGPU_INTERPOSED void free(void* block) {
  const int before = errno;
  forget_block(block);
  errno = before;
  __libc_free(block);
}

// The new block is counted before the old one is given back, as both exist while the bytes are copied.
MGPU_INTERPOSED void* realloc(void* block, std::size_t bytes) {
  const bool was_large = block && malloc_usable_size(block) >= kMinBlock;
  if (!was_large && bytes < kMinBlock) return __libc_realloc(block, bytes);
  if (!block || bytes == 0) return block ? (free(block), nullptr) : malloc(bytes);
  void* moved = malloc(bytes);
  if (!moved) return nullptr;
  std::memcpy(moved, block, std::min(bytes, malloc_usable_size(block)));
  free(block);
  return moved;
}

MGPU_INTERPOSED void* mmap(void* at, std::size_t bytes, int protection, int flags, int fd,
                           off_t offset) noexcept {
  const auto map = [&] {
    return reinterpret_cast<void*>(syscall(SYS_mmap, at, bytes, protection, flags, fd, offset));
  };
  if ((protection & PROT_EXEC) != 0 || !is_regular_file(fd)) return map();
  // MAP_FAILED and null are both refusals, but of different functions.
  void* mapped = allocate_counted(bytes, [&] {
    void* block = map();
    return block == MAP_FAILED ? nullptr : block;
  });
  return mapped ? mapped : MAP_FAILED;
}

MGPU_INTERPOSED void* mmap64(void* at, std::size_t bytes, int protection, int flags, int fd,
                             off_t offset) noexcept {
  return mmap(at, bytes, protection, flags, fd, offset);
}

// Given back first: as soon as the addresses are free, another thread may get them for a block of its own.
MGPU_INTERPOSED int munmap(void* at, std::size_t bytes) noexcept {
  if (!inside) {
    const Inside guard;
    const std::lock_guard lock(mutex);
    give_back(blocks.remove_range(address_of(at), bytes));
  }
  return static_cast<int>(syscall(SYS_munmap, at, bytes));
}
