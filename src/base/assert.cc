#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mgpu {
namespace {

void (*taken_over)(const char*) = nullptr;

}  // namespace

void on_broken_promise(void (*instead)(const char* promise)) { taken_over = instead; }

void assertion_failed(const char* condition, const char* promise, const char* file, int line) {
  if (taken_over != nullptr) taken_over(promise);
  std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", file, line, promise, condition);
  std::abort();
}

}  // namespace mgpu
