/* The allocator of the simulated GPU, for services, tests and demos. libmgpu-simgpu.so exports it beside the
 * NVML functions. The environment variable MGPU_SIMGPU names the file that holds the state of the devices
 * (created by `mgpu-simgpu create`). Thread-safe and fork-safe; a call takes some microseconds. Plain C, for
 * callers like Python's ctypes:
 *   ctypes.CDLL("libmgpu-simgpu.so").mgpu_simgpu_alloc(0, ctypes.c_uint64(1 << 30))
 */
#ifndef MGPU_SIMGPU_H
#define MGPU_SIMGPU_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Results; the numbers are those of the CUDA driver (CUresult). */
enum {
  MGPU_SIMGPU_OK = 0,
  MGPU_SIMGPU_INVALID_VALUE = 1,   /* freeing more than the caller holds */
  MGPU_SIMGPU_OUT_OF_MEMORY = 2,   /* larger than the free memory; counted in oom_count */
  MGPU_SIMGPU_NOT_INITIALIZED = 3, /* MGPU_SIMGPU is unset, or its file is missing or of another format */
  MGPU_SIMGPU_UNAVAILABLE = 46,    /* the fault "lost" is set for the device */
  MGPU_SIMGPU_INVALID_DEVICE = 101,
  MGPU_SIMGPU_NOT_READY = 600, /* never returned: the call blocks while the process is locked */
  MGPU_SIMGPU_UNKNOWN = 999    /* the file has no free entry for another process */
};

/* Allocates `bytes` of `device` for the calling process, until it frees them or dies. MIG slices are numbered
 * after the whole devices. */
int mgpu_simgpu_alloc(unsigned device, uint64_t bytes);

/* Frees `bytes`. Fails with MGPU_SIMGPU_INVALID_VALUE, and frees nothing, if the calling process holds less.
 */
int mgpu_simgpu_free(unsigned device, uint64_t bytes);

#ifdef __cplusplus
}
#endif

#endif
