#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mgpu {
namespace {

void (*assertion_handler)(const char*) = nullptr;

}  // namespace

void set_assertion_handler(void (*handler)(const char* promise)) { assertion_handler = handler; }

void assertion_failed(const char* condition, const char* message, const char* file, int line) {
  if (assertion_handler != nullptr) assertion_handler(message);
  std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", file, line, message, condition);
  std::abort();
}

}  // namespace mgpu
