#include "runner/descriptor_limit.h"

#include <sys/resource.h>

namespace mgpu::runner {
namespace {

// Global like the limit itself. Written once, before any process is started.
rlimit original_limit{.rlim_cur = 0,
                      .rlim_max = 0};  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

}  // namespace

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (limit.rlim_cur >= limit.rlim_max || ::setrlimit(RLIMIT_NOFILE, &raised) != 0) return limit.rlim_cur;
  original_limit = limit;
  return raised.rlim_cur;
}

void restore_descriptor_limit() {
  if (original_limit.rlim_max != 0) ::setrlimit(RLIMIT_NOFILE, &original_limit);
}

}  // namespace mgpu::runner
