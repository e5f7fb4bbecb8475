#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mgpu {

void assertion_failed(const char* condition, const char* promise, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", file, line, promise, condition);
  std::abort();
}

}  // namespace mgpu
