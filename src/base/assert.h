// Assertions that detect bugs of this program. They are on in every build: a scheduler that continues after
// a violated memory invariant does more harm than one that stops.
#pragma once

namespace mgpu {

// Prints the violated invariant to stderr and aborts. A handler that is set runs first.
[[noreturn]] void assertion_failed(const char* condition, const char* invariant, const char* file, int line);

// For tests and the simulator: `handler` is called instead of the abort and must throw. Null restores the
// abort.
void set_assertion_handler(void (*handler)(const char* invariant));

}  // namespace mgpu

// `invariant` states in plain words what must hold, e.g. "a lease is released only once".
#define MGPU_ASSERT(condition, invariant) \
  ((condition) ? (void)0 : ::mgpu::assertion_failed(#condition, invariant, __FILE__, __LINE__))
