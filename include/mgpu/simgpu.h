/* The simulated GPU's allocator, for services, tests and demos: libmgpu-simgpu.so exports it beside the NVML
 * functions. The device memory is the file that the environment variable MGPU_SIMGPU names (made with
 * `mgpu-simgpu create`). Thread-safe and fork-safe; each call costs some microseconds. Plain C, so that
 * Python's ctypes can call it too:
 *   ctypes.CDLL("libmgpu-simgpu.so").mgpu_simgpu_alloc(0, ctypes.c_uint64(1 << 30))
 */
#ifndef MGPU_SIMGPU_H
#define MGPU_SIMGPU_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the calls return: the CUDA driver's numbers. */
enum {
  MGPU_SIMGPU_OK = 0,
  MGPU_SIMGPU_INVALID_VALUE = 1,   /* freeing more than the caller holds */
  MGPU_SIMGPU_OUT_OF_MEMORY = 2,   /* does not fit; counted in oom_count */
  MGPU_SIMGPU_NOT_INITIALIZED = 3, /* MGPU_SIMGPU is unset, or its file is missing or not ours */
  MGPU_SIMGPU_UNAVAILABLE = 46,    /* the device is lost (a fault) */
  MGPU_SIMGPU_INVALID_DEVICE = 101,
  MGPU_SIMGPU_NOT_READY = 600, /* never returned: a locked process waits in its call instead */
  MGPU_SIMGPU_UNKNOWN = 999    /* more processes hold memory than the file has room for */
};

/* Takes `bytes` of `device` (MIG slices are numbered behind the whole devices) for the calling process; they
 * come back when it frees them or dies. */
int mgpu_simgpu_alloc(unsigned device, uint64_t bytes);

/* Gives `bytes` back. Frees nothing unless the calling process holds that many. */
int mgpu_simgpu_free(unsigned device, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
