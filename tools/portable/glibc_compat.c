/* What Debian 12's libstdc++ and headers expect of its C library (glibc 2.36) and the one that is linked
 * against (2.31) does not have. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

/* glibc 2.32: whether the process has one thread, so that reference counts need no atomic instructions. "No"
 * is always right. */
char __libc_single_threaded = 0;

/* glibc 2.36, for std::random_device. */
uint32_t arc4random(void) {
  uint32_t value = 0;
  if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) abort();
  return value;
}
