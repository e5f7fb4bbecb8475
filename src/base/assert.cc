#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace mgpu {
namespace {

void (*assertion_handler)(const char*) = nullptr;

}  // namespace

void set_assertion_handler(void (*handler)(const char* invariant)) { assertion_handler = handler; }

void assertion_failed(const char* condition, const char* invariant, const char* file, int line) {
  if (assertion_handler != nullptr) assertion_handler(invariant);
  std::fprintf(stderr, "%s:%d: violated invariant: %s (%s)\n", file, line, invariant, condition);
  std::abort();
}

}  // namespace mgpu
