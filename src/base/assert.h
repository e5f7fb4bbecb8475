// Assertions about our own bugs. They are on in every build: a scheduler that goes on after a broken
// promise about memory does more harm than one that stops.
#pragma once

namespace mgpu {

// Prints the broken promise to stderr and aborts, unless a test took over.
[[noreturn]] void assertion_failed(const char* condition, const char* message, const char* file, int line);

// For the simulator: `instead` is called in place of the abort and must not return (it throws). Null: abort
// again.
void set_assertion_handler(void (*handler)(const char* promise));

}  // namespace mgpu

// `promise` is a sentence for the person who reads the crash, e.g. "a lease is released once".
#define MGPU_ASSERT(condition, promise) \
  ((condition) ? (void)0 : ::mgpu::assertion_failed(#condition, promise, __FILE__, __LINE__))
